import PoiseConfig
import PoiseModel

/// `poise config show`, and `poise schema`.
enum ConfigCommand {
    private static let usage = """
        poise config show [--effective] FILE

        Prints the configuration in one form, with rule sets put in, defaults spread out, and where each value was
        written. Values from 'file:' and '${}' are shown as written there and not as what they stand for.
        """

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let effective = CommandOption("effective", help: "also what has Poise's own default")
        let reader = try ArgumentReader(arguments, options: [effective], positionalsMax: 2)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        guard reader.positionals.first == "show" else {
            throw UsageError(problem: "'config' needs to know what to do", fix: "poise config show --effective FILE")
        }
        guard reader.positionals.count == 2 else {
            throw UsageError(problem: "no configuration file", fix: "poise config show --effective FILE")
        }
        guard let loaded = ConfigFile.load(reader.positionals[1], tlsFiles: nil) else { return 3 }
        var text = CanonicalForm.render(
            loaded.configuration, origins: loaded.origins, includingDefaults: reader.has("effective"))
        if text.hasSuffix("\n") { text.removeLast() }
        Console.print(text)
        return 0
    }

    static func schema(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: [])
        if reader.wantsHelp {
            Console.print(reader.help(usage: "poise schema\n\nThe JSON Schema of configuration files, for editors."))
            return 0
        }
        var text = ConfigSchema.text
        if text.hasSuffix("\n") { text.removeLast() }
        Console.print(text)
        return 0
    }
}
