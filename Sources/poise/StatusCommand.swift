import PoiseModel
import PoisePlatform

/// `poise status`: what the running Poise does, as tables or JSON.
enum StatusCommand {
    private static let options = [
        CommandOption("output", value: "table|json", help: "tables for people (default), or JSON"),
        CommandOption(
            "watch", value: "TIME", help: "again and again, every second unless told otherwise", standard: "1s"),
        AdminClient.option,
    ]

    private static let usage = """
        poise status [--output table|json] [--watch[=TIME]]
        poise status TARGET | GROUP/TARGET | GROUP TARGET

        Without a target, everything at a glance. With one, its state in each of its groups, its checks, and its last 100
        changes with what was seen.
        """

    private static func path(of names: [String]) -> String {
        names.isEmpty ? "/status" : "/targets/" + names.map { PathSegment.encode($0) }.joined(separator: "/")
    }

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: options, positionalsMax: 2)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        let format = reader.string("output") ?? "table"
        guard ["table", "json"].contains(format) else {
            throw UsageError(problem: "--output: '\(format)' is neither table nor json", fix: "write --output json")
        }
        let isTerminal = Terminal.isTerminal(1)
        let isColored = isTerminal && (Environment["NO_COLOR"] ?? "").isEmpty
        let client = try AdminClient(verb: "status", reader)
        let target = "\(path(of: reader.positionals))?format=\(format)\(isColored ? "&color=1" : "")"
        guard let period = try reader.duration("watch") else { return client.run("GET", target) }
        guard period >= .milliseconds(100), period <= .seconds(3600) else {
            throw UsageError(problem: "--watch: \(period) is outside 100ms...1h", fix: "write --watch=2s")
        }
        let frames = Lock(FramePrinter(clearsScreen: isTerminal && format == "table"))
        return client.run("GET", "\(target)&watch=\(period.milliseconds)") { piece in
            frames.withLock { $0.take(piece) }
        }
    }
}

/// Prints tables frame by frame: a form feed ends one. JSON has none and passes through.
private struct FramePrinter {
    let clearsScreen: Bool
    private var frame: [UInt8] = []

    init(clearsScreen: Bool) { self.clearsScreen = clearsScreen }

    mutating func take(_ piece: Span<UInt8>) {
        for index in piece.indices {
            let byte = piece[index]
            if byte == 0x0C { show() } else { frame.append(byte) }
            // A line of JSON is a frame of its own.
            if byte == 0x0A, frame.first == UInt8(ascii: "{") { show() }
        }
    }

    private mutating func show() {
        let clear = clearsScreen ? Array("\u{1B}[H\u{1B}[2J".utf8) : []
        try? Files.write((clear + frame).span, to: 1)
        frame.removeAll(keepingCapacity: true)
    }
}
