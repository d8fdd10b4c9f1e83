import PoiseModel
import PoiseYAML

extension Loading {
    /// What only some kinds of checks have.
    func readProbes(_ section: Section, into draft: inout HealthDraft, inDefaults: Bool) {
        refuseForeignKeys(section, draft, inDefaults: inDefaults)
        read(SettingsTable.httpProbe, from: section, into: &draft.probe, inDefaults: inDefaults)
        read(SettingsTable.checkKinds, from: section, into: &draft.options, inDefaults: inDefaults)
        read(SettingsTable.grpcProbe, from: section, into: &draft.grpc, inDefaults: inDefaults)
        read(SettingsTable.agentProbe, from: section, into: &draft.agent, inDefaults: inDefaults)
        read(SettingsTable.commandProbe, from: section, into: &draft.command, inDefaults: inDefaults)
        read(SettingsTable.fileProbe, from: section, into: &draft.file, inDefaults: inDefaults)
        refuseWrittenPassword(section, draft)
        if let node = section["script"] {
            readScript(node, at: section.path("script"), into: &draft, inDefaults: inDefaults)
        }
    }

    private func refuseWrittenPassword(_ section: Section, _ draft: HealthDraft) {
        let path = section.path("password")
        guard let node = section["password"], draft.options.password != nil, reference(under: path) == nil else {
            return
        }
        error(
            .invalid, at: node.range, path: path, "a password does not belong into this file",
            fix: "write 'password: file:PATH' or 'password: ${NAME}'")
    }

    /// Programs that are not there, or that nobody may run. Of checks: refused before a target is down for it. Of hooks: warned
    /// of, as traffic must not wait for whoever is told of it.
    func checkPrograms(of configuration: Configuration, _ reader: any FileReader) {
        for (program, range, problem) in unusable(configuration.checkCommands, reader) {
            error(
                .unreadable, at: range, path: program, "the program cannot be run: \(problem)",
                fix: "install it, or write the path of one that is there and executable")
        }
        for (_, range, problem) in unusable(configuration.hookCommands, reader) {
            warning(
                .unreadable, at: range, "the hook's program cannot be run, so nobody would be told: \(problem)",
                fix: "install it, or write the path of one that is there and executable")
        }
    }

    private func unusable(
        _ commands: [(path: String, command: [String])], _ reader: any FileReader
    ) -> [(path: String, range: SourceRange, problem: String)] {
        commands.compactMap { path, command in
            let program = "\(path)[0]"
            guard !isRefused(program), !isRefused(path), let range = places[program] ?? places[path],
                let problem = reader.programProblem(path: command[0])
            else { return nil }
            return (program, range, problem)
        }
    }
}

extension CanonicalWriter {
    /// The rows of the check's own kind.
    mutating func writeProbe(
        _ draft: HealthDraft, _ base: HealthDraft, _ path: String, _ indent: Int, listsToo: Bool
    ) {
        let own = draft.chosen?.ownKeys ?? []
        func write<Root>(
            _ place: SettingsPlace<Root>, _ part: (HealthDraft) -> Root, by writer: inout CanonicalWriter
        ) {
            writer.settings(
                place, part(draft), part(base), indent, path, listsToo: listsToo,
                without: Set(place.keys).subtracting(own))
        }
        write(SettingsTable.httpProbe, \.probe, by: &self)
        write(SettingsTable.checkKinds, \.options, by: &self)
        write(SettingsTable.grpcProbe, \.grpc, by: &self)
        write(SettingsTable.agentProbe, \.agent, by: &self)
        write(SettingsTable.commandProbe, \.command, by: &self)
        write(SettingsTable.fileProbe, \.file, by: &self)
        if own.contains("script"), listsToo { writeScript(draft.options.steps, path, indent) }
    }
}
