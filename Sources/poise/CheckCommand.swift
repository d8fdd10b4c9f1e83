import PoiseConfig
import PoiseModel

/// `poise check`: whether a configuration is valid, and what it amounts to. Offline.
enum CheckCommand {
    private static let usage = """
        poise check FILE

        No network, no name is resolved, nothing is bound. Certificates are opened: key, chain, names and expiry. Status 3 when the file has errors.
        """

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: [], positionalsMax: 1)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        guard let path = reader.positionals.first else {
            throw UsageError(problem: "no configuration file", fix: "poise check FILE")
        }
        let survey = CertificateSurvey()
        guard let loaded = ConfigFile.load(path, tlsFiles: survey.check) else { return 3 }
        let lines = ["\(path) is valid", summary(of: loaded.configuration)] + survey.lines
        Console.print(lines.joined(separator: "\n"))
        return 0
    }

    static func summary(of configuration: Configuration) -> String {
        var lines: [String] = []
        let rules = configuration.listeners.reduce(0) { $0 + $1.rules.count }
        let targets = configuration.targetGroups.reduce(0) { $0 + $1.targets.count }
        lines.append(
            "  \(count(configuration.listeners.count, "listener")), \(count(rules, "rule")), "
                + "\(count(configuration.targetGroups.count, "target group")), \(count(targets, "target"))")
        for listener in configuration.listeners {
            let addresses = listener.addresses.map(\.description).joined(separator: " ")
            let fallback = listener.defaultAction == nil ? "no default: 404 where no rule matches" : "a default"
            lines.append(
                "  listener \(listener.name ?? listener.id) on \(addresses): \(tls(of: listener))"
                    + "\(count(listener.rules.count, "rule")), \(fallback)")
        }
        for group in configuration.targetGroups {
            lines.append(
                "  target group \(group.name ?? group.id): \(count(group.targets.count, "target")), "
                    + "\(wire(of: group))\(group.algorithmSummary), \(health(of: group, in: configuration))")
        }
        for (index, hook) in configuration.notify.enumerated() {
            // Not where a webhook is: its URL may be a secret.
            lines.append(
                "  hook \(hook.displayName(at: index)): \(hook.command.first ?? "a webhook") on "
                    + hook.events.map(\.rawValue).joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }

    /// What is said of HTTPS and HTTP/2; nothing of plain HTTP/1.1.
    private static func tls(of listener: Listener) -> String {
        guard let tls = listener.tls else { return "" }
        return "HTTPS (\(tls.policy.name), \(tls.alpn.rawValue)), \(count(tls.certificates.count, "certificate")), "
    }

    private static func wire(of group: TargetGroup) -> String {
        let version = group.version == .http2 ? "HTTP/2" : "HTTP/1.1"
        guard let tls = group.tls else { return group.version == .http2 ? "\(version) in plain text, " : "" }
        return "\(version) over TLS, \(tls.verifies ? "verified" : "not verified"), "
    }

    private static func health(of group: TargetGroup, in configuration: Configuration) -> String {
        if let tracked = group.trackedGroup {
            let words = "as healthy as '\(tracked)' says"
            let groups = Dictionary(
                configuration.targetGroups.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
            guard let detection = group.checkedGroup(among: groups).flatMap(detection) else { return words }
            return "\(words): \(detection)"
        }
        guard let summary = group.healthSummaryWithIntervals else {
            return group.passive.consecutiveFailures == 0
                ? "no health check" : "no health check; traffic alone tells what is dead"
        }
        guard let detection = detection(of: group) else {
            let silence = group.hasAgents ? " an agent's silence takes nothing out;" : ""
            let whatIs =
                group.healthChecks.parts.contains { $0.check.kind.failsAtDeath }
                ? "enough checks pass though the target is dead" : "no check notices a dead target"
            return "\(summary):\(silence) \(whatIs)"
        }
        return "\(summary): \(detection)"
    }

    /// `nil` where no check takes a dead target out.
    private static func detection(of group: TargetGroup) -> String? {
        guard let time = group.healthChecks.detectionTimeMax else { return nil }
        let idle = group.healthChecks.idleDetectionTimeMax.map { ", \($0) without requests" } ?? ""
        return "a dead target is out within \(time)\(idle)"
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
