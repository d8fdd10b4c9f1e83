import PoiseModel
import Testing

@testable import PoiseRouting

@Suite("Route table")
struct RouteTableTests {
    static let shop = RouteTable(rules: [
        rule(hosts: ["shop.test"], paths: ["/cart"]),  // 0
        rule(hosts: ["shop.test", "www.shop.test"], paths: ["/api/*", "/v?/x"]),  // 1
        rule(hosts: ["*.shop.test"]),  // 2
        rule(paths: ["*.php", "/static/*"]),  // 3
        rule(hosts: ["api.*"], paths: ["/api/*/items/*.json"]),  // 4
        rule(hosts: ["shop.test"]),  // 5
        rule(paths: ["*admin*"]),  // 6
    ])

    @Test(
        "gives the first rule in written order that matches",
        arguments: [
            ("shop.test", "/cart", 0), ("SHOP.Test.", "/cart", 0), ("shop.test", "/Cart", 5),
            ("shop.test", "/cart/", 5),
            ("shop.test", "/api/", 1), ("www.shop.test", "/api/x/y", 1), ("www.shop.test", "/v1/x", 1),
            ("www.shop.test", "/v12/x", 2), ("a.b.shop.test", "/", 2), (".shop.test", "/", 2),
            ("shop.test", "/x.php", 3),
            ("", "/static/", 3), ("api.other", "/api/7/items/9.json", 4), ("shop.test..", "/", nil),
            ("other", "/the/admin", 6), ("other", "/", nil), ("", "", nil), ("xshop.test", "/cart", nil),
        ] as [(String, String, Int?)])
    func firstMatch(host: String, path: String, index: Int?) {
        #expect(Self.shop.match(host, path) == index)
        #expect(Self.shop.oracle(host, path) == index)
    }

    @Test("without rules matches nothing, and says that it is empty")
    func empty() {
        let table = RouteTable(rules: [])
        #expect(table.isEmpty)
        #expect(table.match("shop.test", "/") == nil)
        #expect(table.explain("shop.test", "/").isEmpty)
        #expect(!Self.shop.isEmpty)
    }

    @Test("takes a rule without conditions for one that always matches")
    func unconditional() {
        let table = RouteTable(rules: [rule(hosts: ["a"]), rule(), rule(hosts: ["b"])])
        #expect(table.match("b", "/") == 1)
        #expect(table.match("a", "/") == 0)
        #expect(table.match("", "") == 1)
    }

    @Test("wants every condition of a rule, also the second of its kind, and any pattern of a condition")
    func furtherConditions() {
        var both = rule(hosts: ["a.*"], paths: ["/x/*"])
        both.conditions += [.host([Glob("*.Test"), Glob("*.example")]), .path([Glob("*.png")])]
        var never = rule()
        never.conditions = [.path([])]
        let table = RouteTable(rules: [never, both, rule(hosts: ["a.*"], paths: ["/x/*"])])
        #expect(table.match("a.test", "/x/1.png") == 1)
        #expect(table.match("A.EXAMPLE", "/x/1.png") == 1)
        #expect(table.match("a.test", "/x/1.gif") == 2)
        #expect(table.match("a.org", "/x/1.png") == 2)
        #expect(table.match("b.test", "/x/1.png") == nil)
    }

    @Test("explains each rule up to the match")
    func explains() {
        let traces = Self.shop.explain("WWW.shop.test.", "/v12/x")
        #expect(traces.map(\.rule) == [0, 1, 2])
        #expect(traces[0].mismatch?.condition == 0)
        #expect(traces[1].mismatch?.condition == 1)
        #expect(traces[2].mismatch == nil)
        #expect(
            traces.map(\.description) == [
                "r: host 'www.shop.test' does not match 'shop.test'",
                "r: path '/v12/x' matches none of '/api/*', '/v?/x'",
                "r: matches",
            ])
    }

    @Test(
        "agrees with the linear evaluation, for random rules over a tiny alphabet",
        arguments: 1...24 as ClosedRange<UInt64>)
    func randomRules(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var seen = Set<Int?>()
        for _ in 0..<25 {
            let rules = (0..<Int.random(in: 0...40, using: &random)).map { _ in Self.randomRule(&random) }
            let table = RouteTable(rules: rules)
            for _ in 0..<60 {
                let host = random.text("aAb..", lengths: 0...5)
                let path = "/" + random.text("ab//", lengths: 0...6)
                let (compiled, linear) = (table.match(host, path), table.oracle(host, path))
                #expect(
                    compiled == linear, "seed \(seed): host '\(host)', path '\(path)', rules \(rules.map(\.conditions))"
                )
                seen.insert(compiled)
            }
        }
        // The generator is no good when it only makes rules that match nothing, or the first always.
        #expect(seen.contains(nil) && seen.count > 10)
    }

    static func randomRule(_ random: inout SeededRandom) -> Rule {
        var made = rule()
        func globs(_ prefix: String, _ alphabet: String, _ random: inout SeededRandom) -> [Glob] {
            (0..<Int.random(in: 1...3, using: &random)).map { _ in
                Glob(prefix + random.text(alphabet, lengths: 1...5))
            }
        }
        for _ in 0..<[1, 2, 2, 2, 3].randomElement(using: &random)! {
            made.conditions.append(
                Bool.random(using: &random)
                    ? .host(globs("", "aabbB..*?", &random))
                    : .path(globs(["/", "/", "/", "*"].randomElement(using: &random)!, "aabb//*?", &random)))
        }
        return made
    }

    @Test("finds each of 10,000 rules of mixed shapes")
    func manyRules() {
        let table = RouteTable(rules: (0..<10_000).map(Self.mixedRule))
        for index in stride(from: 0, to: 10_000, by: 7) {
            let host = index % 4 == 1 ? "x.t\(index).test" : "t\(index).test"
            #expect(table.match(host, "/app\(index)/files/1.png") == index)
        }
        #expect(table.match("t10000.test", "/") == nil)
    }

    /// Exact hosts, suffixes, prefixes of paths, and globs with both ends literal.
    static func mixedRule(_ index: Int) -> Rule {
        switch index % 4 {
        case 0: rule(hosts: ["T\(index).test"])
        case 1: rule(hosts: ["*.t\(index).test"])
        case 2: rule(paths: ["/app\(index)/*"])
        default: rule(hosts: ["*.test"], paths: ["/app\(index)/*/?.png"])
        }
    }
}
