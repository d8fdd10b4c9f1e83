extension HealthCheck.Kind {
    var isScript: Bool { if case .script = self { true } else { false } }
}

extension HealthCheck {
    /// What its kind asks of its own settings and of the targets.
    ///
    /// - Returns: errors with paths relative to the check.
    func validateKind(targets: [Target]) -> [ConfigError] {
        switch kind {
        case .tcp, .tls, .grpc: []
        case .http(let probe): probe.validate()
        case .script(let probe): probe.validate()
        case .dns(let probe): probe.validate(targets: targets)
        case .icmp: validatePing(targets: targets)
        case .agent(let probe): validateAgent(probe)
        case .exec(let probe): validateCommand(probe)
        case .file(let probe): validateFile(probe)
        }
    }

    private func validatePing(targets: [Target]) -> [ConfigError] {
        var errors: [ConfigError] = []
        if let target = targets.first(where: \.address.isUnix) {
            errors.append(
                ConfigError(
                    code: .conflict, path: "protocol", problem: "\(target.address) has no address that could be pinged",
                    fix: "check with TCP, or give the unix sockets a group of their own"))
        }
        if port != nil {
            errors.append(
                ConfigError(
                    code: .conflict, path: "port", problem: "an ICMP check goes to an address, which has no ports",
                    fix: "remove the port, or check with TCP"))
        }
        return errors
    }

    private func validateAgent(_ probe: AgentProbe) -> [ConfigError] {
        var errors: [ConfigError] = []
        if port == nil {
            errors.append(
                ConfigError(
                    code: .missing, path: "port", problem: "nobody says at which port the agent answers",
                    fix: "add 'port: 9999': an agent has a port of its own"))
        }
        if let send = probe.send { errors += Self.placeholders(in: send, at: "agent_send") }
        return errors
    }

    private func validateCommand(_ probe: CommandProbe) -> [ConfigError] {
        guard let program = probe.command.first else {
            return [
                ConfigError(
                    code: .missing, path: "command", problem: "a check of protocol EXEC runs a program",
                    fix: "add 'command: [/usr/local/bin/check-target]'")
            ]
        }
        guard program.hasPrefix("/"), !program.hasSuffix("/") else {
            return [
                ConfigError(
                    code: .invalid, path: "command[0]", problem: "the program has no absolute path",
                    fix: "write all of it, such as /usr/local/bin/check: nothing is searched, and there is no shell")
            ]
        }
        return []
    }

    private func validateFile(_ probe: FileProbe) -> [ConfigError] {
        var errors: [ConfigError] = []
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
        return errors
    }

    private static func placeholders(in text: String, at path: String) -> [ConfigError] {
        guard let unknown = ProbePlaceholder.unknown(in: text) else { return [] }
        let names = ProbePlaceholder.allCases.map(\.rawValue)
        let nearest = Suggestion.nearest(to: String(unknown.dropFirst().dropLast()), among: names)
        var error = ConfigError(
            code: .unknownName, path: path, problem: "'\(unknown)' stands for nothing",
            fix: nearest.map { "did you mean '{\($0)}'?" }
                ?? "use one of: \(names.map { "{\($0)}" }.joined(separator: ", "))")
        error.part = unknown
        return [error]
    }
}

extension HTTPProbe {
    fileprivate func validate() -> [ConfigError] {
        if bodyContains != nil, bodyMatches != nil {
            return [
                ConfigError(
                    code: .conflict, path: "body_matches",
                    problem: "the body is to contain a text and to match a pattern",
                    fix: "keep one of the two: a pattern can say both", related: "body_contains")
            ]
        }
        // RFC 9110 §9.3.2
        guard method == "HEAD", bodyContains != nil || bodyMatches != nil else { return [] }
        let key = bodyContains != nil ? "body_contains" : "body_matches"
        return [
            ConfigError(
                code: .conflict, path: key, problem: "an answer to HEAD has no body to look into",
                fix: "write 'method: GET', or remove '\(key)'", related: "method")
        ]
    }
}

extension ScriptProbe {
    /// Of a script.
    public static let stepsMax = 64
    /// That one step sends or waits for.
    public static let stepBytesMax = 4096

    fileprivate func validate() -> [ConfigError] {
        guard case .steps(let steps) = dialogue else { return [] }
        guard steps.contains(where: { !$0.isSend }) else {
            return [
                ConfigError(
                    code: .missing, path: "script",
                    problem: steps.isEmpty
                        ? "a SCRIPT check has no steps"
                        : "no step of the script waits for an answer, so it shows nothing",
                    fix: "add a step such as '- expect: OK'")
            ]
        }
        guard steps.count <= Self.stepsMax else {
            return [
                ConfigError(
                    code: .tooLarge, path: "script", problem: "the script has \(steps.count) steps",
                    fix: "use \(Self.stepsMax) or fewer")
            ]
        }
        return []
    }
}

extension DNSProbe {
    fileprivate func validate(targets: [Target]) -> [ConfigError] {
        var errors: [ConfigError] = []
        if query.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "query", problem: "a DNS check has no question",
                    fix: "add 'query: www.example.com', a name that the nameserver must know"))
        }
        if let answer, record != (answer.family == .v4 ? .a : .aaaa) {
            errors.append(
                ConfigError(
                    code: .conflict, path: "answer",
                    problem: "\(answer) is no answer to a question for \(record.rawValue) records",
                    fix: answer.family == .v4 ? "write 'record: A'" : "write 'record: AAAA'", related: "record"))
        }
        if let target = targets.first(where: \.address.isUnix) {
            errors.append(
                ConfigError(
                    code: .conflict, path: "protocol", problem: "\(target.address) is no address of a nameserver",
                    fix: "check with TCP, or give the unix sockets a group of their own"))
        }
        return errors
    }
}
