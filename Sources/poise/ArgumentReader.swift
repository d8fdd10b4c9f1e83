import PoiseModel

/// A command line that is refused: what is wrong and how to put it right.
struct UsageError: Error, Equatable {
    var problem: String
    var fix: String
}

/// An option of a verb: `--name` or `--name VALUE`.
struct CommandOption: Sendable {
    /// Without the dashes.
    let name: String
    /// What stands for the value in the help; nil for a switch.
    let value: String?
    let help: String
    let mayRepeat: Bool
    /// What the option means without `=VALUE`, where it may stand alone.
    let standard: String?

    init(_ name: String, value: String? = nil, help: String, mayRepeat: Bool = false, standard: String? = nil) {
        (self.name, self.value, self.help, self.mayRepeat) = (name, value, help, mayRepeat)
        self.standard = standard
    }

    /// As the help shows it.
    var usage: String {
        guard let value else { return "--\(name)" }
        return standard == nil ? "--\(name) \(value)" : "--\(name)[=\(value)]"
    }
}

/// The arguments of one verb, checked against what it takes.
///
/// `--name VALUE` and `--name=VALUE` are the same; options and others may be mixed; a number below 0 and everything behind
/// `--` are no options. An option given twice is refused unless it may repeat: which of the two was meant is anybody's guess.
struct ArgumentReader {
    private let options: [CommandOption]
    private var values: [String: [String]] = [:]
    /// What is no option, in order.
    private(set) var positionals: [String] = []
    /// `--help` was given: print ``help(usage:)`` and do nothing else.
    private(set) var wantsHelp = false

    /// - Parameter positionalsMax: more than so many are refused.
    init(_ arguments: [String], options: [CommandOption], positionalsMax: Int = 0) throws(UsageError) {
        self.options = options
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                positionals += rest
                break
            } else if argument == "--help" || argument == "-h" {
                wantsHelp = true
            } else if argument.hasPrefix("-"), argument != "-", !Self.isNumber(argument) {
                try take(argument, &rest)
            } else {
                positionals.append(argument)
            }
        }
        if positionals.count > positionalsMax, !wantsHelp {
            throw UsageError(
                problem: "'\(positionals[positionalsMax])' is one argument too many",
                fix: positionalsMax == 0 ? "this verb takes options only" : "leave it out")
        }
    }

    /// `-1` is a number that whoever reads it may refuse, and no option.
    private static func isNumber(_ argument: String) -> Bool {
        argument.utf8.dropFirst().first.map { (0x30...0x39).contains($0) } ?? false
    }

    private mutating func take(_ argument: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0].drop { $0 == "-" })
        guard parts[0].hasPrefix("--"), let option = options.first(where: { $0.name == name }) else {
            let known = options.map { "--\($0.name)" }
            throw UsageError(
                problem: "there is no option \(parts[0])",
                fix: Suggestion.fix(for: "--\(name)", among: known, noneKnown: "this verb takes no options"))
        }
        if option.value == nil, parts.count == 2 {
            throw UsageError(problem: "--\(name) takes no value", fix: "write --\(name) alone")
        }
        var value = ""
        if let placeholder = option.value {
            if parts.count == 2 {
                value = String(parts[1])
            } else if let standard = option.standard {
                value = standard
            } else if let next = rest.first, !next.hasPrefix("--") {
                value = next
                rest.removeFirst()
            } else {
                throw UsageError(problem: "--\(name) has no value", fix: "write --\(name) \(placeholder)")
            }
        }
        if values[name] != nil, !option.mayRepeat {
            throw UsageError(problem: "--\(name) is given twice", fix: "keep one of the two")
        }
        values[name, default: []].append(value)
    }

    func has(_ name: String) -> Bool { values[name] != nil }
    func string(_ name: String) -> String? { values[name]?.last }
    func strings(_ name: String) -> [String] { values[name] ?? [] }

    /// The value through `convert`, nil where the option is missing.
    ///
    /// - Throws: the problem that `convert` found, with the option's name.
    func value<Value>(
        _ name: String, _ convert: (String) throws(ConfigError) -> Value
    ) throws(UsageError) -> Value? {
        guard let text = string(name) else { return nil }
        do { return try convert(text) } catch {
            throw UsageError(problem: "--\(name): \(error.problem)", fix: error.fix)
        }
    }

    /// `200ms`, `1m30s`.
    func duration(_ name: String) throws(UsageError) -> Nanoseconds? {
        try value(name) { (text) throws(ConfigError) in try Nanoseconds(parsing: text) }
    }

    /// `0` to `1`.
    func share(_ name: String) throws(UsageError) -> Double? {
        guard let text = string(name) else { return nil }
        guard let number = Double(text), (0...1).contains(number) else {
            throw UsageError(problem: "--\(name): '\(text)' is not a share", fix: "write a number from 0 to 1, as 0.1")
        }
        return number
    }

    /// A whole number.
    func number(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = string(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                problem: "--\(name): '\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)",
                fix: "write one, as --\(name) \(min(range.upperBound, max(range.lowerBound, 4)))")
        }
        return number
    }

    /// The help of the verb: `usage`, then a line per option.
    func help(usage: String) -> String {
        let names = options.map(\.usage)
        let width = names.map(\.count).max() ?? 0
        let lines = zip(names, options).map { name, option in
            "  \(name)\(String(repeating: " ", count: width - name.count))  \(option.help)"
        }
        return "usage: \(usage)\n\n\(lines.joined(separator: "\n"))"
    }
}
