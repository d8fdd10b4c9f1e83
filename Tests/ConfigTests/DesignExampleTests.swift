import PoiseConfig
import PoiseModel
import Testing

@Suite("The two examples of the design")
struct DesignExampleTests {
    @Test("the smallest useful file is one listener and one group in place")
    func smallest() throws {
        let text = """
            # the smallest useful file
            listeners:
              - address: ":8080"
                forward: [127.0.0.1:7001, 127.0.0.1:7002]
            """
        let configuration = try ConfigLoader.load(text: Array(text.utf8), name: "poise.yaml").configuration
        let listener = try #require(configuration.listeners.first)
        #expect(listener.id == "HTTP :8080")
        #expect(listener.addresses == [.anyAddress(port: 8080)])
        #expect(listener.defaultAction == .forward(Forward(shares: [.init(group: "HTTP :8080/default")])))
        let group = try #require(configuration.targetGroups.first)
        #expect(group.id == "HTTP :8080/default")
        #expect(group.name == nil)
        #expect(group.targets.map(\.address.description) == ["127.0.0.1:7001", "127.0.0.1:7002"])
    }

    @Test("the larger one has rules, weights and a health check")
    func larger() throws {
        let text = """
            version: 1
            listeners:
              - name: web
                address: ["0.0.0.0:8080", "[::]:8080"]
                protocol: HTTP
                rules:
                  - when: { path: ["/api/*"] }
                    forward: api
                  - when: { host: ["old.shop.test"] }
                    redirect: { host: shop.test, status: 301 }
                default: { forward: { groups: { web: 90, web-next: 10 } } }

            target_groups:
              - name: api
                algorithm: least_connections
                targets:
                  - 10.0.0.11:8080
                  - { address: "10.0.0.12:8080", weight: 3 }
                  - "[2001:db8::13]:8080"
                health_check: { path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 3, matcher: "200-299" }
              - { name: web, targets: ["web-a.internal:80", "web-b.internal:80"] }
              - { name: web-next, targets: ["unix:/run/next.sock"] }
            """
        let configuration = try ConfigLoader.load(text: Array(text.utf8), name: "poise.yaml").configuration
        let listener = try #require(configuration.listeners.first)
        #expect(listener.rules.map(\.id) == [#"path in ["/api/*"]"#, #"host in ["old.shop.test"]"#])
        #expect(listener.rules[1].action == .redirect(Redirect(host: "shop.test", status: 301)))
        #expect(
            listener.defaultAction
                == .forward(Forward(shares: [.init(group: "web", weight: 90), .init(group: "web-next", weight: 10)])))
        #expect(configuration.targetGroups.map(\.id) == ["api", "web", "web-next"])
        let api = configuration.targetGroups[0]
        #expect(api.algorithm == .leastConnections)
        #expect(api.targets.map(\.weight) == [1, 3, 1])
        var probe = HTTPProbe()
        probe.path = "/health"
        probe.matcher = [200...299]
        #expect(api.healthCheck?.kind == .http(probe))
        #expect(configuration.targetGroups[1].healthCheck?.kind == .tcp)
    }

    @Test("all errors come at once, each with its place, the line, a caret and a fix")
    func errors() {
        let text = """
            listeners:
              - adress: ":8080"
                forward: api-v2
            target_groups:
              - name: api-v1
                algoritm: p2c
                targets: ["10.0.0.1"]
            """
        let report = #expect(throws: ConfigReport.self) {
            try ConfigLoader.load(text: Array(text.utf8), name: "poise.yaml")
        }
        #expect(
            report?.render() == """
                poise.yaml:2:5: error: a listener has no key 'adress' [unknown-key]
                  - adress: ":8080"
                    ^~~~~~
                help: did you mean 'address'?
                poise.yaml:3:14: error: no target group is called 'api-v2' [unknown-name]
                    forward: api-v2
                             ^~~~~~
                help: did you mean 'api-v1'?
                poise.yaml:6:5: error: a target group has no key 'algoritm' [unknown-key]
                    algoritm: p2c
                    ^~~~~~~~
                help: did you mean 'algorithm'?
                poise.yaml:7:15: error: '10.0.0.1' has no port [missing]
                    targets: ["10.0.0.1"]
                              ^~~~~~~~~~
                help: add one: 10.0.0.1:80

                """)
    }
}
