import PoiseModel

/// Which programs may be brought by somebody who is no file on this machine's disk: the admin API.
///
/// Whoever may write the configuration file could run programs as Poise's user anyway; whoever may only use the admin
/// socket could not. So a configuration that was sent may have the commands that the file has, word for word, and others
/// only where the file says `process.admin.allow_commands: true`. What was sent cannot say that.
public struct CommandAuthority: Sendable, Equatable {
    private let allowsAll: Bool
    private let known: Set<[String]>

    /// Of a file that has no commands.
    public init() { (allowsAll, known) = (false, []) }

    /// - Parameter file: the configuration that was read from the disk last, at the start or by a reload.
    public init(_ file: Configuration) {
        allowsAll = file.process.allowsCommandsByAdmin
        known = Set(file.commands.map(\.command))
    }

    /// What of a configuration that was sent is not allowed.
    public func problems(in sent: Configuration) -> [ConfigError] {
        guard !allowsAll else { return [] }
        var problems = sent.commands.filter { !known.contains($0.command) }.map { path, _ in
            ConfigError(
                code: .notAllowed, path: path,
                problem: "the configuration file of the running Poise has no such command",
                fix: "put it into that file and reload it, or set process.admin.allow_commands: true there")
        }
        if sent.process.allowsCommandsByAdmin {
            problems.append(
                ConfigError(
                    code: .notAllowed, path: "process.admin.allow_commands",
                    problem: "only the configuration file of the running Poise can allow commands",
                    fix: "set it in that file and reload it"))
        }
        return problems
    }
}

extension ConfigError.Code {
    /// Valid, and not for whoever sent it.
    public static let notAllowed = Self(name: "not-allowed")
}

extension Daemon {
    /// - Throws: for a configuration that was sent and brings commands of its own.
    func refuseForeignCommands(_ proposal: Proposal) throws(ApplyRefusal) {
        let problems = commandAuthority.problems(in: proposal.configuration)
        guard !problems.isEmpty else { return }
        let texts = problems.map { refusal(.invalid, $0, proposal.origins).description }
        throw ApplyRefusal(.invalid, texts.joined(separator: "\n"))
    }
}
