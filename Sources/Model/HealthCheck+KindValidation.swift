extension Configuration {
    /// Programs that health checks run, with the place of each.
    public var checkCommands: [(path: String, command: [String])] {
        targetGroups.enumerated().flatMap { index, group in
            let parts = group.healthChecks.parts
            return parts.enumerated().compactMap { item, part -> (path: String, command: [String])? in
                guard case .exec(let probe) = part.check.kind, !probe.command.isEmpty else { return nil }
                let place = parts.count == 1 ? "health_check" : "health_checks.checks[\(item)]"
                return ("target_groups[\(index)].\(place).command", probe.command)
            }
        }
    }
}

extension HealthCheck {
    /// What a check of this kind needs, and what it has no use for.
    func validateKind() -> [ConfigError] {
        var errors: [ConfigError] = []
        switch kind {
        case .tcp, .tls, .http, .grpc: break
        case .agent(let probe):
            if port == nil {
                errors.append(
                    ConfigError(
                        code: .missing, path: "port", problem: "nobody says at which port the agent answers",
                        fix: "add 'port: 9999': an agent has a port of its own"))
            }
            if let send = probe.send { errors += Self.placeholders(in: send, at: "agent_send") }
        case .exec(let probe):
            if probe.command.isEmpty {
                errors.append(
                    ConfigError(
                        code: .missing, path: "command", problem: "a check of protocol EXEC runs a program",
                        fix: "add 'command: [/usr/local/bin/check-target]'"))
            } else if !probe.command[0].hasPrefix("/") || probe.command[0].hasSuffix("/") {
                errors.append(
                    ConfigError(
                        code: .invalid, path: "command[0]", problem: "the program has no absolute path",
                        fix: "write all of it, such as /usr/local/bin/check: nothing is searched, and there is no shell"
                    ))
            }
        case .file(let probe):
            if probe.path.isEmpty {
                errors.append(
                    ConfigError(
                        code: .missing, path: "file", problem: "a check of protocol FILE looks at a file",
                        fix: "add 'file: /etc/poise/maintenance/{target}'"))
            } else {
                errors += Self.placeholders(in: probe.path, at: "file")
            }
            if address != nil || port != nil {
                errors.append(
                    ConfigError(
                        code: .conflict, path: port != nil ? "port" : "address",
                        problem: "a FILE check looks at a file on this machine and asks nobody",
                        fix: "remove '\(port != nil ? "port" : "address")'"))
            }
        }
        return errors
    }

    private static func placeholders(in text: String, at path: String) -> [ConfigError] {
        guard let unknown = ProbePlaceholder.unknown(in: text) else { return [] }
        let names = ProbePlaceholder.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
        return [
            ConfigError(
                code: .unknownName, path: path, problem: "'{\(unknown)}' stands for nothing", fix: "use \(names)")
        ]
    }
}
