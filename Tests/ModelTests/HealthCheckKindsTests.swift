import PoiseModel
import Testing

@Suite("Kinds of health checks")
struct HealthCheckKindsTests {
    @Test(
        "words in braces stand for the target, others stay",
        arguments: [
            ("{address}:{port} {group}/{target}", "1.2.3.4:80 web/t"), ("", ""), ("plain", "plain"), ("{", "{"),
            ("}{", "}{"),
            ("{nobody}{port}", "{nobody}80"), ("{{port}}", "{80}"), ("a{port", "a{port"),
            (#"{"port": {port}, "x": {}}"#, #"{"port": 80, "x": {}}"#), ("{ port }", "{ port }"),
            ("{port{group}", "{portweb"),
            ("{\u{301}{port}", "{\u{301}80"), ("{port-1}}", "{port-1}}"),
        ])
    func fills(text: String, filled: String) {
        let values: [ProbePlaceholder: String] = [.address: "1.2.3.4", .port: "80", .group: "web", .target: "t"]
        #expect(ProbePlaceholder.fill(text) { values[$0]! } == filled)
    }

    @Test(
        "the first word in braces that stands for nothing is named",
        arguments: [
            ("{address}{port}{group}{target}", nil), ("x", nil), ("{adress}", "{adress}"), ("{Port}", "{Port}"),
            ("{port}{}", nil), ("{port", nil), ("}{", nil), ("{{port}}", nil), ("{{my_port}}", "{my_port}"),
            (#"{"status": 1}"#, nil), (#"{"a": {b}}"#, "{b}"), ("{a1}", nil), ("{a b}", nil),
        ])
    func unknown(text: String, word: String?) { #expect(ProbePlaceholder.unknown(in: text) == word) }

    @Test(
        "only a placeholder makes a text one of the target",
        arguments: [("{target}", true), (#"{"a": 1}"#, false), ("{}", false), ("up", false), ("{x}{port}", true)])
    func used(text: String, isUsed: Bool) { #expect(ProbePlaceholder.isUsed(in: text) == isUsed) }

    private static func check(_ kind: HealthCheck.Kind, _ change: (inout HealthCheck) -> Void = { _ in }) -> HealthCheck
    {
        var check = HealthCheck()
        check.kind = kind
        change(&check)
        return check
    }

    private static let agent = check(.agent(AgentProbe())) { $0.port = 9999 }
    private static let file = check(.file(FileProbe(path: "/run/{target}", downWhen: .missing)))
    private static let flag = check(.file(FileProbe(path: "/run/{target}", downWhen: .exists)))

    @Test("an agent's silence detects nothing; a file is looked at once; agents do not vote")
    func detection() {
        #expect(HealthChecks(Self.agent).detectionTimeMax == nil)
        // 5 s until the next look, and 2 s for it.
        #expect(HealthChecks(Self.file).detectionTimeMax == .seconds(7))
        let page = Self.check(.tcp)
        let both = HealthChecks([.init(Self.agent), .init(page, weight: 3)])
        #expect(both.detectionTimeMax == page.detectionTimeMax && both.weightNeeded == 3)
        #expect(HealthChecks([.init(Self.agent), .init(page)], need: .any).weightNeeded == 1)
        #expect(HealthChecks([.init(Self.agent)], need: .any).weightNeeded == 0)
    }

    @Test("a flag that takes a target out is not made by its death: the others must be enough without it")
    func deathUnderFlag() {
        let page = Self.check(.tcp) { $0.idleInterval = .seconds(600) }
        let parts = [HealthChecks.Part(Self.flag), .init(page)]
        #expect(HealthChecks(Self.flag).detectionTimeMax == nil)
        #expect(HealthChecks(parts, need: .any).detectionTimeMax == nil)
        #expect(HealthChecks(parts, need: .any).idleDetectionTimeMax == nil)
        #expect(HealthChecks(parts, need: .weight(1)).detectionTimeMax == nil)
        #expect(HealthChecks(parts).detectionTimeMax == page.detectionTimeMax)
        #expect(HealthChecks(parts).idleDetectionTimeMax == page.idleDetectionTimeMax)
    }

    private static func problems(_ checks: HealthChecks) -> [String] {
        var group = TargetGroup(id: "g", targets: [Target(address: .ip(IPAddress(v4: 1), port: 80))])
        group.healthChecks = checks
        return Configuration(listeners: [], targetGroups: [group]).validate().map(\.path).filter {
            $0.contains("health_check")
        }
    }

    @Test(
        "what a kind needs, and what it has no use for, is said at its place",
        arguments: [
            (agent, []), (file, []), (check(.agent(AgentProbe())), ["port"]),
            (check(.agent(AgentProbe(send: "{x}"))) { $0.port = 1 }, ["agent_send"]),
            (check(.exec(CommandProbe())), ["command"]), (check(.exec(CommandProbe(command: ["/bin/true", "x"]))), []),
            (check(.exec(CommandProbe(command: ["true"]))), ["command[0]"]),
            (check(.exec(CommandProbe(command: ["/bin/"]))), ["command[0]"]), (check(.file(FileProbe())), ["file"]),
            (check(.file(FileProbe(path: "/{who}"))), ["file"]),
            (check(.file(FileProbe(path: "/x"))) { $0.port = 1 }, ["port"]),
        ])
    func validation(check: HealthCheck, paths: [String]) {
        #expect(Self.problems(HealthChecks(check)) == paths.map { "target_groups[0].health_check.\($0)" })
    }

    @Test("a weight for an agent is refused")
    func weight() {
        let checks = HealthChecks([.init(Self.agent, weight: 2), .init(Self.file)])
        #expect(Self.problems(checks) == ["target_groups[0].health_checks.checks[0].weight"])
    }

    @Test("programs of checks are listed with their place")
    func commands() {
        let exec = Self.check(.exec(CommandProbe(command: ["/bin/true"])))
        var (one, several) = (TargetGroup(id: "a", targets: []), TargetGroup(id: "b", targets: []))
        one.healthCheck = exec
        several.healthChecks = HealthChecks([.init(Self.file), .init(exec)])
        let commands = Configuration(listeners: [], targetGroups: [one, several]).commands
        #expect(
            commands.map(\.path) == [
                "target_groups[0].health_check.command", "target_groups[1].health_checks.checks[1].command",
            ])
        #expect(commands.allSatisfy { $0.command == ["/bin/true"] })
    }
}
