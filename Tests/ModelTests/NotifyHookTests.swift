import PoiseModel
import Testing

@Suite("Hooks: what they are told of, and where they are")
struct NotifyHookTests {
    @Test(
        "a group's name is matched whole, * is any run and ? one character",
        arguments: [
            ([], "web", true), (["web"], "web", true), (["web"], "web-2", false), (["api", "web"], "web", true),
            (["w*"], "web", true), (["*b"], "web", true), (["*"], "", true), (["w?b"], "web", true),
            (["w?b"], "wb", false), (["*e*b*"], "web", true), (["*ab*ab"], "ababab", true), (["*ab*ab"], "abba", false),
            (["w*b?"], "web", false), (["?"], "", false), (["**"], "x", true),
        ])
    func groups(patterns: [String], group: String, matches: Bool) {
        var hook = NotifyHook()
        (hook.events, hook.groups) = ([.targetDown], patterns)
        #expect(hook.concerns(.targetDown, ofGroup: group) == matches)
        #expect(!hook.concerns(.targetUp, ofGroup: group))
    }

    @Test(
        "a URL is taken apart",
        arguments: [
            ("http://a.test", false, "a.test", 80, "/", "a.test"),
            ("https://a.test/x?y=1", true, "a.test", 443, "/x?y=1", "a.test"),
            ("HTTPS://A.test:8443?y", true, "A.test", 8443, "/?y", "A.test:8443"),
            ("http://[2001:db8::1]:81/", false, "2001:db8::1", 81, "/", "[2001:db8::1]:81"),
            ("https://[::1]/", true, "::1", 443, "/", "[::1]"),
            ("http://10.0.0.1/", false, "10.0.0.1", 80, "/", "10.0.0.1"),
            ("http://a.test:443/", false, "a.test", 443, "/", "a.test:443"),
        ] as [(String, Bool, String, UInt16, String, String)])
    func url(text: String, isSecure: Bool, host: String, port: UInt16, target: String, authority: String) throws {
        let url = try WebhookURL(parsing: text)
        #expect(url.isSecure == isSecure && url.host == host && url.port == port && url.target == target)
        #expect(url.authority == authority)
        // Written and read again it is the same.
        #expect(try WebhookURL(parsing: url.description) == url)
    }

    @Test(
        "what is no URL of a webhook is refused, and not repeated",
        arguments: [
            "", "a.test", "ftp://a.test/", "http://", "http:///x", "http://a.test:0/", "http://a.test:65536/",
            "http://a.test:x/", "http://u@a.test/", "http://a.test/#f", "http://a.test/ x", "http://a.test/\u{e9}",
            "http://::1/", "http://[10.0.0.1]/", "http://[x]/", "http://-a/", "http://a.test/\r\nX: y",
        ])
    func notURL(text: String) {
        let error = #expect(throws: ConfigError.self) { try WebhookURL(parsing: text) }
        #expect(text.count < 8 || error?.problem.contains(text) == false)
    }

    @Test(
        "a minimum is a number or a share, rounded up",
        arguments: [
            ("1", 10, 1), ("12", 3, 12), ("50%", 3, 2), ("50%", 4, 2), ("1%", 3, 1), ("100%", 7, 7), ("50%", 0, 0),
        ])
    func minimum(text: String, targets: Int, count: Int) throws {
        let minimum = try MinimumHealthy(parsing: text)
        #expect(minimum.count(of: targets) == count)
        #expect(minimum.description == text)
    }

    @Test(
        "what is no minimum is refused",
        arguments: ["", "0", "0%", "101%", "10001", "-1", "1.5", "%", "half", "5 %", "999999%"])
    func noMinimum(text: String) { #expect(throws: ConfigError.self) { try MinimumHealthy(parsing: text) } }
}
