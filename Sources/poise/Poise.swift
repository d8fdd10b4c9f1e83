import Glibc
import PoiseModel

/// One verb of the command line.
struct Verb: Sendable {
    let name: String
    /// One line for the list of verbs.
    let summary: String
    /// Takes the arguments behind the verb and returns the exit status: 0 success, 1 failure, 2 misuse.
    let run: @Sendable ([String]) throws(UsageError) -> Int32
}

@main struct Poise {
    static let version = "0.1.0"

    static let verbs: [Verb] = [
        Verb(name: "run", summary: "serve a configuration", run: RunCommand.run),
        Verb(name: "check", summary: "whether a configuration is valid", run: CheckCommand.run),
        Verb(name: "apply", summary: "give the running Poise another configuration", run: ApplyCommand.apply),
        Verb(name: "reload", summary: "let the running Poise read its file again", run: ApplyCommand.reload),
        Verb(name: "status", summary: "what the running Poise does", run: StatusCommand.run),
        Verb(name: "drain", summary: "take a target out of service", run: TargetStateCommands.drain),
        Verb(name: "undrain", summary: "put a drained target back", run: TargetStateCommands.undrain),
        Verb(name: "weight", summary: "change a target's weight", run: TargetStateCommands.weight),
        Verb(name: "config", summary: "show a configuration in one form", run: ConfigCommand.run),
        Verb(name: "schema", summary: "the JSON Schema of configuration files", run: ConfigCommand.schema),
        Verb(name: "target", summary: "a small HTTP server to try things with", run: TargetCommand.run),
        Verb(name: "version", summary: "print the version", run: { (_) throws(UsageError) in Poise.printVersion() }),
    ]

    static func main() {
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// - Returns: the exit status.
    static func run(_ arguments: [String]) -> Int32 {
        guard let name = arguments.first else {
            Console.error(overview)
            return 2
        }
        if ["--help", "-h", "help"].contains(name) {
            Console.print(overview)
            return 0
        }
        guard let verb = verbs.first(where: { $0.name == (name == "--version" ? "version" : name) }) else {
            return report(
                UsageError(
                    problem: "there is no verb '\(name)'",
                    fix: Suggestion.fix(for: name, among: verbs.map(\.name), noneKnown: "see poise --help")),
                verb: nil)
        }
        do { return try verb.run(Array(arguments.dropFirst())) } catch { return report(error, verb: verb.name) }
    }

    private static func report(_ error: UsageError, verb: String?) -> Int32 {
        Console.error("poise\(verb.map { " \($0)" } ?? ""): \(error.problem)\nhelp: \(error.fix)")
        return 2
    }

    private static func printVersion() -> Int32 {
        Console.print("poise \(version)")
        return 0
    }

    static var overview: String {
        let width = verbs.map(\.name.count).max() ?? 0
        let list = verbs.map { verb in
            "  \(verb.name)\(String(repeating: " ", count: width - verb.name.count))  \(verb.summary)"
        }
        return "usage: poise VERB [ARGUMENT…]\n\n\(list.joined(separator: "\n"))\n\npoise VERB --help tells more."
    }
}
