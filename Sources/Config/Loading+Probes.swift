import PoiseModel

/// Which keys of a health check belong to which kinds.
struct ProbeKeys: Sendable {
    let kinds: [HealthDraft.Kind]
    let keys: [String]
    /// What its checks are.
    let noun: String

    static let all: [ProbeKeys] = [
        ProbeKeys(kinds: [.agent], keys: SettingsTable.agentProbe.keys, noun: "asks an agent"),
        ProbeKeys(kinds: [.grpc], keys: SettingsTable.grpcProbe.keys, noun: "calls a gRPC service"),
        ProbeKeys(kinds: [.exec], keys: SettingsTable.commandProbe.keys, noun: "runs a program"),
        ProbeKeys(kinds: [.file], keys: SettingsTable.fileProbe.keys, noun: "looks at a file"),
    ]

    static var names: [String] { all.flatMap(\.keys) }
}

extension Loading {
    /// The keys of kinds that have their own. Each is refused beside another kind, and needs its kind written.
    func readProbes(_ section: Section, into draft: inout HealthDraft, inDefaults: Bool) {
        for family in ProbeKeys.all {
            for key in section.written(family.keys) where !isRefused(section.path("protocol")) {
                let word = family.kinds[0].rawValue
                if let kind = draft.chosen, !family.kinds.contains(kind) {
                    error(
                        .conflict, at: section.keyRange(key), path: section.path(key),
                        "'\(key)' is for a check that \(family.noun), and this is one of protocol \(kind.rawValue)",
                        fix: "remove '\(key)', or write 'protocol: \(word)'")
                } else if draft.chosen == nil {
                    error(
                        .missing, at: section.keyRange(key), path: section.path("protocol"),
                        "'\(key)' is for a check that \(family.noun), and nothing says that this is one",
                        fix: "add 'protocol: \(word)'")
                }
            }
        }
        for key in section.written(draft.unused.sorted()) {
            let problem =
                switch key {
                case "address", "port": "a FILE check looks at a file on this machine and asks nobody"
                case _ where draft.chosen == .file: "a file is there or not: one look decides"
                default: "an agent's word decides at once; only its silence is counted, by 'unhealthy'"
                }
            error(.conflict, at: section.keyRange(key), path: section.path(key), problem, fix: "remove '\(key)'")
        }
        read(SettingsTable.agentProbe, from: section, into: &draft.agent, inDefaults: inDefaults)
        read(SettingsTable.grpcProbe, from: section, into: &draft.grpc, inDefaults: inDefaults)
        read(SettingsTable.commandProbe, from: section, into: &draft.command, inDefaults: inDefaults)
        read(SettingsTable.fileProbe, from: section, into: &draft.file, inDefaults: inDefaults)
    }
}

extension Loading {
    /// Programs of checks that are not there, or that nobody may run: found out before a target is down for it.
    func checkPrograms(of configuration: Configuration, _ reader: any FileReader) {
        for (path, command) in configuration.checkCommands {
            let program = "\(path)[0]"
            guard !isRefused(program), !isRefused(path), let range = places[program] ?? places[path],
                let problem = reader.programProblem(path: command[0])
            else { continue }
            error(
                .unreadable, at: range, path: program, "the program cannot be run: \(problem)",
                fix: "install it, or write the path of one that is there and executable")
        }
    }
}

extension CanonicalWriter {
    mutating func writeProbe(
        _ draft: HealthDraft, _ base: HealthDraft, _ path: String, _ indent: Int, listsToo: Bool
    ) {
        switch draft.chosen {
        case .agent: settings(SettingsTable.agentProbe, draft.agent, base.agent, indent, path, listsToo: listsToo)
        case .grpc: settings(SettingsTable.grpcProbe, draft.grpc, base.grpc, indent, path, listsToo: listsToo)
        case .exec:
            settings(SettingsTable.commandProbe, draft.command, base.command, indent, path, listsToo: listsToo)
        case .file: settings(SettingsTable.fileProbe, draft.file, base.file, indent, path, listsToo: listsToo)
        default: break
        }
    }
}
