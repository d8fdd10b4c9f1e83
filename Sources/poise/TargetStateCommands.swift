import PoiseModel

/// `poise drain`, `poise undrain`, `poise weight`: one target of the running Poise.
enum TargetStateCommands {
    static func drain(_ arguments: [String]) throws(UsageError) -> Int32 {
        let wait = CommandOption("wait", help: "return when its last request has ended, or its deadline has passed")
        let reader = try ArgumentReader(arguments, options: [wait, AdminClient.option], positionalsMax: 2)
        return try run("drain", reader, names: 2, "poise drain GROUP TARGET [--wait]") { _ throws(UsageError) in
            reader.has("wait") ? "?wait=1" : ""
        }
    }

    static func undrain(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: [AdminClient.option], positionalsMax: 2)
        return try run("undrain", reader, names: 2, "poise undrain GROUP TARGET") { _ throws(UsageError) in "" }
    }

    static func weight(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reset = CommandOption("reset", help: "back to the weight in the file, instead of WEIGHT")
        let reader = try ArgumentReader(arguments, options: [reset, AdminClient.option], positionalsMax: 3)
        let isReset = reader.has("reset")
        return try run(
            "weight", reader, names: isReset ? 2 : 3, "poise weight GROUP TARGET WEIGHT|--reset",
            method: isReset ? "DELETE" : "POST"
        ) { (names) throws(UsageError) in
            if isReset { return "" }
            guard let weight = Int(names[2]), (0...256).contains(weight) else {
                throw UsageError(problem: "'\(names[2])' is not a weight", fix: "write a number from 0 to 256")
            }
            return "?weight=\(weight)"
        }
    }

    private static func run(
        _ verb: String, _ reader: ArgumentReader, names: Int, _ usage: String, method: String = "POST",
        query: ([String]) throws(UsageError) -> String
    ) throws(UsageError) -> Int32 {
        if reader.wantsHelp {
            Console.print(reader.help(usage: "\(usage)\n\nGROUP and TARGET are as 'poise status' shows them."))
            return 0
        }
        guard reader.positionals.count == names else {
            throw UsageError(problem: "\(names) arguments are needed", fix: usage)
        }
        let query = try query(reader.positionals)
        let (group, target) = (PathSegment.encode(reader.positionals[0]), PathSegment.encode(reader.positionals[1]))
        return try AdminClient(verb: verb, reader).run(method, "/targets/\(group)/\(target)/\(verb)\(query)")
    }
}
