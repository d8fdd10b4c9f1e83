import PoiseModel
import Testing

@Suite("Lengths of time as text")
struct NanosecondsTextTests {
    @Test(
        "are read and written",
        arguments: [
            ("0s", 0, "0s"), ("5s", 5_000_000_000, "5s"), ("250ms", 250_000_000, "250ms"),
            ("1h30m", 5_400_000_000_000, "90m"),
            ("1d", 86_400_000_000_000, "1d"), ("90s", 90_000_000_000, "90s"), ("60s", 60_000_000_000, "1m"),
            ("1m30s500ms", 90_500_000_000, "90500ms"), ("7us", 7_000, "7us"), ("0m", 0, "0s"),
        ])
    func reads(text: String, count: Int64, written: String) throws {
        let value = try Nanoseconds(parsing: text)
        #expect(value.count == count)
        #expect(value.description == written)
        #expect(try Nanoseconds(parsing: written) == value)
    }

    @Test(
        "are refused without a unit, out of order, or beyond 292 years",
        arguments: [
            ("5", "invalid"), ("", "wrong-type"), ("s", "wrong-type"), ("5 s", "wrong-type"), ("1.5s", "wrong-type"),
            ("-5s", "wrong-type"), ("5S", "wrong-type"), ("5sec", "wrong-type"), ("30m1h", "wrong-type"),
            ("1s1s", "wrong-type"),
            ("1h30", "invalid"), ("5s ", "wrong-type"), ("99999999999999999999s", "wrong-type"),
            ("106752d", "wrong-type"),
            ("106751d24h", "wrong-type"), ("٣s", "wrong-type"),
        ])
    func refuses(text: String, code: String) {
        let error = #expect(throws: ConfigError.self) { try Nanoseconds(parsing: text) }
        #expect(error?.code.name == code)
    }
}

@Suite("What somebody probably meant")
struct SuggestionTests {
    @Test(
        "one slip of the hand is forgiven",
        arguments: [
            ("adress", "address"), ("algoritm", "algorithm"), ("tragets", "targets"), ("nmae", "name"),
            ("Forward", "forward"),
            ("health-check", "health_check"), ("healthCheck", "health_check"), ("target_group", "targets"),
            ("zzz", nil),
            ("", nil), ("na", "name"),
        ] as [(String, String?)])
    func nearest(word: String, expected: String?) {
        let known = ["name", "address", "forward", "targets", "algorithm", "health_check"]
        let found = Suggestion.nearest(to: word, among: known)
        #expect(found == (word == "target_group" || word == "na" ? nil : expected))
    }

    @Test("the nearest wins, the first of equals, and never the word itself")
    func ties() {
        #expect(Suggestion.nearest(to: "web-v3", among: ["web-v1", "web-v2"]) == "web-v1")
        #expect(Suggestion.nearest(to: "web-v3", among: ["web-v3", "web-v2"]) == "web-v2")
        #expect(Suggestion.nearest(to: "wbe-v2", among: ["web-v1", "web-v2"]) == "web-v2")
        // Of equals, one that is as long as the word.
        #expect(Suggestion.nearest(to: "HTTSP", among: ["HTTP", "HTTPS"]) == "HTTPS")
        #expect(Suggestion.nearest(to: "HTPT", among: ["HTTPS", "HTTP"]) == "HTTP")
    }
}

@Suite("Identity over an apply")
struct IdentityTests {
    @Test("a rule is its conditions, whatever their order")
    func rules() {
        let a = Identity.rule(name: nil, conditions: [.host([Glob("B.test"), Glob("a.test")]), .path([Glob("/x")])])
        let b = Identity.rule(
            name: nil, conditions: [.path([Glob("/x"), Glob("/x")]), .host([Glob("a.TEST"), Glob("b.test")])])
        #expect(a == #"host in ["a.test","b.test"] and path in ["/x"]"#)
        #expect(a == b)
        #expect(Identity.rule(name: nil, conditions: []) == "*")
        #expect(Identity.rule(name: "api", conditions: []) == "api")
        #expect(Identity.canonical([.path([Glob("/x")])]) != Identity.canonical([.path([Glob("/X")])]))
    }

    @Test("no pattern can imitate the text of two")
    func quoting() {
        let one = Identity.canonical([.path([Glob(#"/a","/b"#)])])
        let two = Identity.canonical([.path([Glob("/a"), Glob("/b")])])
        #expect(one != two)
        #expect(Identity.canonical([.path([Glob(#"/\"#)])]) == #"path in ["/\\"]"#)
    }

    @Test("a listener without a name is its addresses, whatever their order")
    func listeners() {
        let a = ListenAddress.anyAddress(port: 80)
        let b = ListenAddress.unix(path: "/x")
        let first = Identity.listener(name: nil, protocolKind: .http, addresses: [a, b])
        #expect(first == "HTTP :80,unix:/x")
        #expect(first == Identity.listener(name: nil, protocolKind: .http, addresses: [b, a]))
        #expect(!Identity.isName(first))
    }

    @Test(
        "names are 1 to 32 of a-z, 0-9 and -",
        arguments: [
            ("a", true), ("web-2", true), ("-", true), ("", false), ("Web", false), ("a_b", false), ("a.b", false),
            ("ä", false),
            ("a:80", false), (String(repeating: "a", count: 32), true), (String(repeating: "a", count: 33), false),
        ])
    func names(text: String, expected: Bool) {
        #expect(Identity.isName(text) == expected)
    }
}

@Suite("A configuration as a whole")
struct ConfigurationValidationTests {
    static func configuration(
        _ change: (inout Configuration) -> Void = { _ in }
    ) -> Configuration {
        var configuration = Configuration(
            listeners: [
                Listener(
                    id: "web", name: "web", addresses: [.anyAddress(port: 80)], rules: [],
                    defaultAction: .forward(Forward(shares: [.init(group: "app")])))
            ],
            targetGroups: [
                TargetGroup(id: "app", name: "app", targets: [Target(address: .name("a.test", port: 80))])
            ])
        change(&configuration)
        return configuration
    }

    @Test("one that is fine has neither errors nor warnings")
    func fine() {
        #expect(Self.configuration().validate().isEmpty)
        #expect(Self.configuration().warnings().isEmpty)
    }

    @Test("errors carry the path of their place, and that of the other one")
    func paths() {
        let errors = Self.configuration {
            $0.listeners.append($0.listeners[0])
            $0.listeners[1].rules = [
                Rule(
                    id: "x", conditions: [],
                    action: .forward(Forward(shares: [.init(group: "ap"), .init(group: "app")])))
            ]
            $0.targetGroups[0].healthCheck?.timeout = .seconds(6)
            $0.targetGroups.append($0.targetGroups[0])
        }.validate()
        #expect(
            errors.map { "\($0.path) \($0.code.name) \($0.related ?? "")" } == [
                "listeners[1].name duplicate listeners[0].name",
                "target_groups[1].name duplicate target_groups[0].name",
                "listeners[1].address[0] duplicate listeners[0].address[0]",
                "listeners[1].rules[0].forward.groups[0] unknown-name ",
                "target_groups[0].health_check.timeout conflict target_groups[0].health_check.interval",
                "target_groups[1].health_check.timeout conflict target_groups[1].health_check.interval",
            ])
        #expect(errors[3].fix == "did you mean 'app'?")
    }

    @Test("TLS settings stand exactly where the protocol is HTTPS, and with a certificate")
    func listenerTLS() {
        func errors(_ kind: Listener.ListenerProtocol, _ tls: ListenerTLS?) -> [String] {
            Self.configuration { ($0.listeners[0].protocolKind, $0.listeners[0].tls) = (kind, tls) }.validate().map {
                "\($0.path) \($0.code.name) \($0.related ?? "")"
            }
        }
        let one = CertificateFiles(certificate: "/a.pem", key: "/a.key")
        #expect(errors(.https, ListenerTLS(certificates: [one, .selfSigned])) == [])
        #expect(errors(.http, ListenerTLS(certificates: [one])) == ["listeners[0].tls conflict "])
        #expect(errors(.https, nil) == ["listeners[0].tls.certificates missing "])
        #expect(errors(.https, ListenerTLS(certificates: [])) == ["listeners[0].tls.certificates missing "])
        #expect(
            errors(.https, ListenerTLS(certificates: [one, .selfSigned, one])) == [
                "listeners[0].tls.certificates[2] duplicate listeners[0].tls.certificates[0]"
            ])
    }

    @Test("a target is verified by something, and checks over TLS need a group that speaks it")
    func targetTLS() {
        func errors(_ change: (inout TargetGroup) -> Void) -> [String] {
            Self.configuration { change(&$0.targetGroups[0]) }.validate().map { "\($0.path) \($0.code.name)" }
        }
        var probe = HTTPProbe()
        probe.isSecure = true
        let checks: [HealthCheck.Kind] = [.tls, .http(probe)]
        for kind in checks {
            var check = HealthCheck()
            check.kind = kind
            #expect(errors { $0.healthCheck = check } == ["target_groups[0].health_check.protocol conflict"])
            #expect(errors { ($0.healthCheck, $0.tls) = (check, TargetTLS()) } == [])
        }
        #expect(errors { $0.tls = TargetTLS() } == [])
        var unverified = TargetTLS()
        unverified.verifies = false
        let socket = Target(address: .unix(path: "/run/app.sock"))
        #expect(errors { ($0.targets, $0.tls) = ([socket], TargetTLS()) } == ["target_groups[0].tls.name missing"])
        #expect(errors { ($0.targets, $0.tls) = ([socket], unverified) } == [])
        unverified.authorityFile = "/ca.pem"
        #expect(errors { $0.tls = unverified } == ["target_groups[0].tls.ca_file conflict"])
    }

    @Test("all kinds of nonsense are found at once")
    func everything() {
        let errors = Self.configuration {
            $0.listeners[0].addresses = []
            $0.listeners[0].loadBalancer = "defualt"
            $0.listeners[0].rules = [
                Rule(id: "a", conditions: [], action: .redirect(Redirect(status: 200))),
                Rule(id: "b", conditions: [], action: .fixedResponse(FixedResponse(status: 304, body: "x"))),
                Rule(id: "c", conditions: [.path([Glob("/c")])], action: .forward(Forward(shares: []))),
            ]
            $0.listeners[0].limits.uriBytesMax = 1 << 20
            $0.listeners[0].upgrades = ["h2c"]
            $0.targetGroups[0].targets = [Target(address: .unix(path: "/a"), isBackup: true)]
            $0.targetGroups[0].healthCheck?.port = 80
            $0.targetGroups[0].healthCheck?.edgeInterval = .seconds(9)
            $0.targetGroups[0].passive.ejectionTime = .seconds(999)
        }.validate()
        #expect(
            Set(errors.map(\.path)) == [
                "listeners[0].load_balancer", "listeners[0].address", "listeners[0].rules[1]",
                "listeners[0].rules[0].redirect.status",
                "listeners[0].rules[0].redirect", "listeners[0].rules[1].fixed_response.body",
                "listeners[0].rules[2].forward",
                "listeners[0].upgrades", "listeners[0].limits.max_uri_size", "target_groups[0].targets",
                "target_groups[0].health_check.port", "target_groups[0].health_check.edge_interval",
                "target_groups[0].passive_checks.ejection_time",
            ])
        #expect(errors.count == 13)
    }
}

@Suite("Security policies")
struct SecurityPolicyNameTests {
    @Test("every policy is found by its name, and by nothing else")
    func names() {
        for policy in SecurityPolicy.all { #expect(SecurityPolicy.named(policy.name) == policy) }
        #expect(Set(SecurityPolicy.allNames).count == SecurityPolicy.all.count)
        #expect(SecurityPolicy.named("intermediate") == .intermediate)
        #expect(SecurityPolicy.named("Intermediate") == nil)
        #expect(SecurityPolicy.named("") == nil)
    }
}

@Suite("Searching text in text")
struct StringSearchTests {
    @Test(
        "finds the first place and replaces every one",
        arguments: [
            ("a${b}${c}", "${", "a<b}<c}", true), ("", "x", "", false), ("x", "xx", "x", false),
            ("aaa", "aa", "<a", true),
            ("ab", "ab", "<", true), ("世界!", "界", "世<!", true), ("e\u{301}", "e", "<\u{301}", true),
        ])
    func substitutes(text: String, part: String, expected: String, isThere: Bool) {
        #expect(text.substituting(part, with: "<").utf8.elementsEqual(expected.utf8))
        #expect(text.holds(part) == isThere)
        #expect(text.place(of: part).map { String(text[$0]) } == (isThere ? part : nil))
    }
}
