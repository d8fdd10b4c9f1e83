import PoiseConfig
import PoiseControl
import PoiseModel

/// `poise apply` and `poise reload`: another configuration for the running Poise.
enum ApplyCommand {
    private static let applyUsage = """
        poise apply FILE

        Reads FILE, what it includes, and what its 'file:' and '${}' stand for, as you and in your environment, and
        sends it to the running Poise, which takes all of it or nothing. Certificates and keys are not sent: the running
        Poise opens them by their paths, as it does when they are renewed. Connections that the change does not concern
        are not disturbed.
        """

    static func apply(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: [AdminClient.option], positionalsMax: 1)
        if reader.wantsHelp {
            Console.print(reader.help(usage: applyUsage))
            return 0
        }
        guard let path = reader.positionals.first else {
            throw UsageError(problem: "no configuration file", fix: "poise apply FILE")
        }
        let recorder = BundleRecorder()
        // A mistake is shown here, with colours, and never sent.
        guard ConfigFile.load(path, files: recorder, environment: recorder.variable, tlsFiles: nil) != nil else {
            return 3
        }
        return try AdminClient(verb: "apply", reader)
            .run("POST", "/apply", type: ConfigBundle.contentType, body: recorder.bundle.bytes)
    }

    static func reload(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: [AdminClient.option])
        if reader.wantsHelp {
            Console.print(
                reader.help(usage: "poise reload\n\nThe running Poise reads its own file again, as it does on HUP."))
            return 0
        }
        return try AdminClient(verb: "reload", reader).run("POST", "/reload")
    }
}
