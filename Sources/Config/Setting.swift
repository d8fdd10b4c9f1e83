import PoiseModel

/// One row of the table of settings: where a value lies in a file, what it may be, and where it goes in the Model.
///
/// Parsing, the JSON Schema, `docs/settings.md` and the canonical form are all made from these rows.
struct Setting<Root>: Sendable {
    /// One key, or the key of a section and a key in it.
    let keys: [String]
    let type: SettingType
    /// The word that stands for `nil`: `unlimited`, `auto`, `off`. Without one, `nil` is said by leaving the key out.
    let unset: String?
    /// ELBv2's attribute or parameter for the same thing.
    let attribute: String?
    let summary: String
    let get: @Sendable (Root) -> SettingValue?
    /// - Throws: ``ConfigError`` with an empty path, or `[index]` for an item of a list.
    let set: @Sendable (inout Root, SettingValue?) throws(ConfigError) -> Void
    /// Whether what the rest says has a use for it: the options of an algorithm.
    private(set) var applies: @Sendable (Root) -> Bool = { _ in true }
    /// What is told where it does not apply; `nil`: that the first key of its section says so.
    private(set) var uselessness: Uselessness?

    /// Why a setting may have no effect.
    struct Uselessness: Sendable {
        /// Keys of the same place that decide it: where one of these is refused, nobody knows.
        let keys: [String]
        let problem: String
        let fix: String
    }

    /// The same row, for those `roots` only.
    func only(where roots: @escaping @Sendable (Root) -> Bool) -> Setting {
        var setting = self
        setting.applies = roots
        return setting
    }

    /// The same row, for those `roots` only, of which `keys` decide.
    func only(
        by keys: String..., else problem: String, fix: String, where roots: @escaping @Sendable (Root) -> Bool
    ) -> Setting {
        var setting = only(where: roots)
        setting.uselessness = Uselessness(keys: keys, problem: problem, fix: fix)
        return setting
    }
}

/// A value between its text and its place in the Model.
enum SettingValue: Sendable, Hashable {
    case duration(Nanoseconds)
    case size(Int)
    case integer(Int)
    case boolean(Bool)
    case text(String)
    case texts([String])
    case pairs([Pair])

    struct Pair: Sendable, Hashable {
        var name: String
        var value: String
    }
}

enum SettingType: Sendable {
    case duration(ClosedRange<Nanoseconds>)
    case size(ClosedRange<Int>)
    case integer(ClosedRange<Int>)
    case boolean
    /// `later` are the values that other versions of Poise have, `elsewhere` words of other products for these.
    case choice([String], later: [String], elsewhere: [String: String] = [:])
    /// `form` says what is expected; the setter checks it.
    /// One of many names; `noun` says of what.
    case name(of: String, [String])
    case text(form: String)
    /// A file's path; relative ones are seen from the file that names them.
    case path(form: String)
    case list(form: String)
    case pairs(form: String)

    /// A list never inherits from `defaults`.
    var isInherited: Bool {
        switch self {
        case .list, .pairs: false
        case .duration, .size, .integer, .boolean, .choice, .name, .text, .path: true
        }
    }

    /// What a reader of an error message is told to write.
    var expected: String {
        switch self {
        case .duration: "a length of time such as 5s"
        case .size: "a size such as 64KiB"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .boolean: "true or false"
        case .choice(let names, _, _):
            (names.count < 3 ? names : [names.dropLast().joined(separator: ", "), names[names.count - 1]])
                .joined(separator: " or ")
        case .name(let noun, _): "the name of a \(noun)"
        case .text(let form), .path(let form), .list(let form), .pairs(let form): form
        }
    }

    /// Reads one scalar; lists and pairs are read item by item elsewhere.
    ///
    /// - Throws: ``ConfigError`` with an empty path.
    func read(_ text: String, unset: String?) throws(ConfigError) -> SettingValue {
        let orUnset = unset.map { ", or \($0)" } ?? ""
        switch self {
        case .duration(let range):
            let value = try Nanoseconds(parsing: text)
            guard range.contains(value) else {
                throw Self.outOfRange(text, range.lowerBound.description, range.upperBound.description, orUnset)
            }
            return .duration(value)
        case .size(let range):
            let value = try SizeText.parse(text)
            guard range.contains(value) else {
                throw Self.outOfRange(
                    text, SizeText.format(range.lowerBound), SizeText.format(range.upperBound), orUnset)
            }
            return .size(value)
        case .integer(let range):
            let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw ConfigError(
                    code: .wrongType, problem: "'\(text)' is not a whole number", fix: "write \(expected)\(orUnset)")
            }
            guard let value = Int(text), range.contains(value) else {
                throw Self.outOfRange(text, "\(range.lowerBound)", "\(range.upperBound)", orUnset)
            }
            return .integer(value)
        case .boolean:
            switch text {
            case "true": return .boolean(true)
            case "false": return .boolean(false)
            default:
                let meant = ["yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"]
                throw ConfigError(
                    code: .wrongType, problem: "'\(text)' is neither true nor false",
                    fix: meant[text.lowercased()].map { "write \($0)" } ?? "write true or false")
            }
        case .choice(let names, let later, let elsewhere):
            if names.contains(text) { return .text(text) }
            if let meant = elsewhere[text.lowercased()] {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' is what others call it", fix: "write \(meant)")
            }
            if later.contains(text) || later.contains(where: { $0.lowercased() == text.lowercased() }) {
                throw ConfigError(
                    code: .notAvailable, problem: "'\(text)' is not available in this version",
                    fix: "use \(names.joined(separator: ", "))")
            }
            throw ConfigError(
                code: .invalid,
                problem: names.count == 1
                    ? "'\(text)' is not '\(names[0])'" : "'\(text)' is not one of \(names.joined(separator: ", "))",
                fix: Suggestion.fix(for: text, among: names + (unset.map { [$0] } ?? []), noneKnown: ""))
        case .name(let noun, let names):
            guard !names.contains(text) else { return .text(text) }
            throw ConfigError(
                code: .unknownName, problem: "no \(noun) is called '\(text)'",
                fix: Suggestion.fix(for: text, among: names, noneKnown: ""))
        case .text, .path, .list, .pairs: return .text(text)
        }
    }

    private static func outOfRange(_ text: String, _ low: String, _ high: String, _ orUnset: String) -> ConfigError {
        ConfigError(
            code: .outOfRange, problem: "\(text) is outside \(low)...\(high)",
            fix: "use a value from \(low) to \(high)\(orUnset)")
    }
}

extension SettingValue {
    /// As a file would have it; `nil` for lists and pairs.
    var text: String? {
        switch self {
        case .duration(let value): value.description
        case .size(let value): SizeText.format(value)
        case .integer(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .text(let value): value
        case .texts, .pairs: nil
        }
    }
}

// MARK: - Rows in one line

extension Setting {
    typealias Path<Value> = any WritableKeyPath<Root, Value> & Sendable

    static func duration(
        _ keys: String..., at path: Path<Nanoseconds>, in range: ClosedRange<Nanoseconds>, attribute: String? = nil,
        _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .duration(range), unset: nil, attribute: attribute, summary: summary,
            get: { .duration($0[keyPath: path]) },
            set: { if case .duration(let value)? = $1 { $0[keyPath: path] = value } })
    }

    static func size(
        _ keys: String..., at path: Path<Int>, in range: ClosedRange<Int>, attribute: String? = nil, _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .size(range), unset: nil, attribute: attribute, summary: summary,
            get: { .size($0[keyPath: path]) }, set: { if case .size(let value)? = $1 { $0[keyPath: path] = value } })
    }

    static func size(
        _ keys: String..., at path: Path<Int?>, in range: ClosedRange<Int>, unset: String, attribute: String? = nil,
        _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .size(range), unset: unset, attribute: attribute, summary: summary,
            get: { $0[keyPath: path].map { .size($0) } },
            set: { if case .size(let value)? = $1 { $0[keyPath: path] = value } else { $0[keyPath: path] = nil } })
    }

    static func integer(
        _ keys: String..., at path: Path<Int>, in range: ClosedRange<Int>, attribute: String? = nil, _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .integer(range), unset: nil, attribute: attribute, summary: summary,
            get: { .integer($0[keyPath: path]) },
            set: { if case .integer(let value)? = $1 { $0[keyPath: path] = value } })
    }

    static func integer(
        _ keys: String..., at path: Path<Int?>, in range: ClosedRange<Int>, unset: String, attribute: String? = nil,
        _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .integer(range), unset: unset, attribute: attribute, summary: summary,
            get: { $0[keyPath: path].map { .integer($0) } },
            set: { if case .integer(let value)? = $1 { $0[keyPath: path] = value } else { $0[keyPath: path] = nil } })
    }

    static func boolean(
        _ keys: String..., at path: Path<Bool>, attribute: String? = nil, _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .boolean, unset: nil, attribute: attribute, summary: summary,
            get: { .boolean($0[keyPath: path]) },
            set: { if case .boolean(let value)? = $1 { $0[keyPath: path] = value } })
    }

    static func choice<Value: RawRepresentable<String> & CaseIterable & SendableMetatype>(
        _ keys: String..., at path: Path<Value>, later: [String] = [], elsewhere: [String: String] = [:],
        attribute: String? = nil, _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .choice(Value.allCases.map(\.rawValue), later: later, elsewhere: elsewhere), unset: nil,
            attribute: attribute,
            summary: summary, get: { .text($0[keyPath: path].rawValue) },
            set: { if case .text(let text)? = $1, let value = Value(rawValue: text) { $0[keyPath: path] = value } })
    }

    static func text(
        _ keys: String..., at path: Path<String>, form: String, attribute: String? = nil, _ summary: String,
        check: @escaping @Sendable (String) throws(ConfigError) -> Void
    ) -> Setting {
        Setting(
            keys: keys, type: .text(form: form), unset: nil, attribute: attribute, summary: summary,
            get: { .text($0[keyPath: path]) },
            set: { (root: inout Root, value: SettingValue?) throws(ConfigError) in
                guard case .text(let text)? = value else { return }
                try check(text)
                root[keyPath: path] = text
            })
    }

    static func text(
        _ keys: String..., at path: Path<String?>, form: String, unset: String? = nil, attribute: String? = nil,
        _ summary: String, check: @escaping @Sendable (String) throws(ConfigError) -> Void
    ) -> Setting {
        Setting(
            keys: keys, type: .text(form: form), unset: unset, attribute: attribute, summary: summary,
            get: { $0[keyPath: path].map { .text($0) } },
            set: { (root: inout Root, value: SettingValue?) throws(ConfigError) in
                guard case .text(let text)? = value else {
                    root[keyPath: path] = nil
                    return
                }
                try check(text)
                root[keyPath: path] = text
            })
    }

    /// The value that is set is absolute already.
    static func path(
        _ keys: String..., at path: Path<String>, form: String, attribute: String? = nil, _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .path(form: form), unset: nil, attribute: attribute, summary: summary,
            get: { .text($0[keyPath: path]) },
            set: { if case .text(let text)? = $1 { $0[keyPath: path] = text } })
    }

    static func path(
        _ keys: String..., at path: Path<String?>, form: String, unset: String? = nil, attribute: String? = nil,
        _ summary: String
    ) -> Setting {
        Setting(
            keys: keys, type: .path(form: form), unset: unset, attribute: attribute, summary: summary,
            get: { $0[keyPath: path].map { .text($0) } },
            set: { if case .text(let text)? = $1 { $0[keyPath: path] = text } else { $0[keyPath: path] = nil } })
    }
}
