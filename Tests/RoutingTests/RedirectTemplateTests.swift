import PoiseModel
import PoiseRouting
import Testing

/// A request's URL as owned texts; the spans are made per call.
struct URLText: Sendable, CustomTestStringConvertible {
    var scheme = URLScheme.http
    var host = "shop.test"
    var port: UInt16 = 80
    var path = "/a/b"
    var query = "x=1"

    var testDescription: String { "\(scheme)://\(host):\(port)\(path)?\(query)" }

    func location(_ redirect: Redirect) throws -> String? {
        let template = try RedirectTemplate(redirect)
        let (host, path, query) = (utf8(host), utf8(path), utf8(query))
        var output: [UInt8] = []
        let url = RequestURL(scheme: scheme, host: host.span, port: port, path: path.span, query: query.span)
        let refusal = template.write(for: url, into: &output)
        if refusal != nil { #expect(output.isEmpty, "nothing is written after a refusal") }
        return refusal.map { "refused: \($0.rawValue)" } ?? output.text
    }

    func loops(_ redirect: Redirect) throws -> Bool {
        let template = try RedirectTemplate(redirect)
        let (host, path, query) = (utf8(host), utf8(path), utf8(query))
        let url = RequestURL(scheme: scheme, host: host.span, port: port, path: path.span, query: query.span)
        return template.loops(url)
    }
}

@Suite("Redirects, as ELBv2")
struct RedirectTemplateTests {
    @Test(
        "write the URL",
        arguments: [
            // Parts that are not given keep the request's.
            (Redirect(host: "new.test"), URLText(), "http://new.test/a/b?x=1"),
            (Redirect(path: "/c"), URLText(), "http://shop.test/c?x=1"),
            (Redirect(query: ""), URLText(), "http://shop.test/a/b"),
            (Redirect(query: "y=2"), URLText(), "http://shop.test/a/b?y=2"),
            (Redirect(host: "new.test"), URLText(query: ""), "http://new.test/a/b"),
            (Redirect(host: "new.test"), URLText(path: "/"), "http://new.test/?x=1"),
            (Redirect(host: "new.test"), URLText(path: ""), "http://new.test/?x=1"),
            // Ports: a default is not written, and follows the scheme.
            (Redirect(scheme: "https"), URLText(), "https://shop.test/a/b?x=1"),
            (Redirect(scheme: "HTTPS"), URLText(port: 8080), "https://shop.test:8080/a/b?x=1"),
            (Redirect(scheme: "https", port: "#{port}"), URLText(), "https://shop.test:80/a/b?x=1"),
            (Redirect(scheme: "https", port: "443"), URLText(port: 8080), "https://shop.test/a/b?x=1"),
            (Redirect(port: "8443"), URLText(), "http://shop.test:8443/a/b?x=1"),
            (Redirect(port: "80"), URLText(port: 8080), "http://shop.test/a/b?x=1"),
            (Redirect(scheme: "http"), URLText(scheme: .https, port: 443), "http://shop.test/a/b?x=1"),
            // Placeholders.
            (Redirect(host: "www.#{host}"), URLText(), "http://www.shop.test/a/b?x=1"),
            (
                Redirect(path: "/#{host}/#{port}/#{path}/end"), URLText(port: 81),
                "http://shop.test:81/shop.test/81/a/b/end?x=1"
            ),
            (
                Redirect(host: "new.test", path: "/", query: "u=#{protocol}://#{host}:#{port}/#{path}&#{query}"),
                URLText(),
                "http://new.test/?u=http://shop.test:80/a/b&x=1"
            ),
            (Redirect(query: "#{query}&z"), URLText(query: ""), "http://shop.test/a/b?&z"),
            (Redirect(host: "new.test", query: "#{query}"), URLText(query: ""), "http://new.test/a/b"),
            (
                Redirect(scheme: "#{protocol}", host: "new.test", port: "#{port}", path: "/#{path}"), URLText(),
                "http://new.test/a/b?x=1"
            ),
            (Redirect(scheme: "https"), URLText(host: "[2001:db8::1]"), "https://[2001:db8::1]/a/b?x=1"),
            // What a URI may not hold is encoded, what is encoded stays.
            (
                Redirect(host: "new.test"), URLText(path: "/caf\u{E9}%20\"", query: "q=\u{E9}|%7C"),
                "http://new.test/caf%C3%A9%20%22?q=%C3%A9%7C%7C"
            ),
            (Redirect(path: "/caf\u{E9} %25"), URLText(query: ""), "http://shop.test/caf%C3%A9%20%25"),
            (Redirect(path: "/p"), URLText(host: "b\u{FC}cher.test"), "http://b%C3%BCcher.test/p?x=1"),
            (Redirect(path: "/#{path}/x"), URLText(path: "//evil.test"), "http://shop.test//evil.test/x?x=1"),
        ] as [(Redirect, URLText, String)])
    func writes(redirect: Redirect, request: URLText, location: String) throws {
        #expect(try request.location(redirect) == location)
    }

    @Test(
        "let no byte in that could end the field or leave its part",
        arguments: [
            (URLText(host: ""), "no_host"), (URLText(host: "a/b"), "bad_byte"), (URLText(host: "u@h"), "bad_byte"),
            (URLText(host: "a b"), "bad_byte"), (URLText(host: "a\r\nX: y"), "bad_byte"),
            (URLText(host: "a\\b"), "bad_byte"),
            (URLText(path: "/\r\nX: y"), "bad_byte"), (URLText(path: "/a b"), "bad_byte"),
            (URLText(path: "/\u{0}"), "bad_byte"),
            (URLText(path: "/a?b"), "bad_byte"), (URLText(path: "/a#b"), "bad_byte"),
            (URLText(query: "\n"), "bad_byte"),
            (URLText(query: "#"), "bad_byte"), (URLText(query: "\u{7F}"), "bad_byte"),
        ])
    func refusals(request: URLText, reason: String) throws {
        #expect(try request.location(Redirect(scheme: "https")) == "refused: \(reason)")
    }

    @Test(
        "know when they lead back to the request",
        arguments: [
            (Redirect(host: "shop.test"), URLText(), true), (Redirect(host: "SHOP.test"), URLText(), true),
            (Redirect(host: "shop.test"), URLText(host: "www.shop.test"), false),
            (Redirect(scheme: "http"), URLText(), true),
            (Redirect(scheme: "https"), URLText(), false),
            (Redirect(scheme: "https"), URLText(scheme: .https, port: 443), true),
            (Redirect(port: "80"), URLText(), true), (Redirect(port: "81"), URLText(), false),
            (Redirect(path: "/a/b"), URLText(), true), (Redirect(path: "/a"), URLText(), false),
            (Redirect(path: "/a/b/c"), URLText(), false), (Redirect(path: "/x/#{path}"), URLText(), false),
            (Redirect(path: "/#{port}"), URLText(path: "/80"), true),
            (Redirect(path: "/#{port}"), URLText(path: "/800"), false),
            (Redirect(path: "/A/b"), URLText(), false), (Redirect(query: ""), URLText(), false),
            (Redirect(query: ""), URLText(query: ""), true),
            (Redirect(query: "p=#{protocol}"), URLText(query: "p=http"), true),
            (Redirect(query: "p=#{protocol}"), URLText(query: "p=https"), false),
        ])
    func loops(redirect: Redirect, request: URLText, loops: Bool) throws {
        #expect(try request.loops(redirect) == loops)
    }

    @Test("loop exactly where the URL is the request's own", arguments: 1...10 as ClosedRange<UInt64>)
    func loopsRandomly(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        func pick<T>(_ values: [T]) -> T { values.randomElement(using: &random)! }
        var looping = 0
        for _ in 0..<300 {
            let redirect = Redirect(
                scheme: pick([nil, "http", "https"]), host: pick([nil, "a", "b", "#{host}"]),
                port: pick([nil, "80", "81", "#{port}"]), path: pick([nil, "/x", "/#{path}", "/#{port}"]),
                query: pick([nil, "", "q", "#{query}"]))
            guard (try? RedirectTemplate(redirect)) != nil else { continue }
            let request = URLText(
                host: pick(["a", "b"]), port: pick([80, 81]), path: pick(["/x", "/80", "/y"]), query: pick(["", "q"]))
            var own = "http://\(request.host)"
            if request.port != 80 { own += ":81" }
            own += request.path + (request.query.isEmpty ? "" : "?q")
            let isOwn = try request.location(redirect) == own
            #expect(try request.loops(redirect) == isOwn, "seed \(seed): \(redirect) for \(request)")
            looping += isOwn ? 1 : 0
        }
        #expect(looping > 5)
    }

    @Test(
        "that cannot be right are refused with their part and a fix",
        arguments: [
            (Redirect(), "", "loop"), (Redirect(host: "#{host}", path: "/#{path}", query: "#{query}"), "", "loop"),
            (Redirect(scheme: "#{protocol}", port: "#{port}"), "", "loop"),
            (Redirect(host: "a", status: 200), "status", "301"), (Redirect(host: "a", status: 304), "status", "301"),
            (Redirect(scheme: "ftp"), "scheme", "https"), (Redirect(scheme: ""), "scheme", "https"),
            (Redirect(port: "0"), "port", "65535"), (Redirect(port: "65536"), "port", "65535"),
            (Redirect(port: "+80"), "port", "65535"),
            (Redirect(port: "#{host}"), "port", "#{port}"), (Redirect(port: ""), "port", "65535"),
            (Redirect(host: ""), "host", "leave it out"), (Redirect(host: "a:80"), "host", "'port'"),
            (Redirect(host: "a/b"), "host", "letters"), (Redirect(host: "b\u{FC}cher"), "host", "xn--"),
            (Redirect(host: "#{path}"), "host", "#{host}"), (Redirect(host: "#{hots}"), "host", "#{host}"),
            (Redirect(path: "a"), "path", "'/a'"), (Redirect(path: ""), "path", "'/'"),
            (Redirect(path: "/a?b"), "path", "'query'"),
            (Redirect(path: "/#top"), "path", "%23"), (Redirect(path: "/#{path"), "path", "#{path}"),
            (Redirect(path: "/#{query}"), "path", "#{path}"), (Redirect(path: "/%zz"), "path", "%25"),
            (Redirect(path: "/%4"), "path", "%25"),
            (Redirect(path: "/\r\nX: y"), "path", "remove"), (Redirect(query: "?a"), "query", "'a'"),
            (Redirect(query: "#{fragment}"), "query", "#{protocol} #{host} #{port} #{path} #{query}"),
            (Redirect(query: "100%"), "query", "%25"),
        ])
    func configErrors(redirect: Redirect, part: String, hint: String) {
        do {
            _ = try RedirectTemplate(redirect)
            Issue.record("accepted: \(redirect)")
        } catch {
            #expect(error.path == part)
            #expect("\(error)".contains(hint), "\(error)")
        }
    }
}
