import PoiseModel
import PoiseRegex

/// Texts of health checks.
extension TextForm {
    static func pattern(_ text: String) throws(ConfigError) {
        do throws(PatternProblem) { _ = try Pattern(text) } catch {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is no regular expression: \(place(error, in: text))",
                fix: "correct it; in YAML, single quotes keep backslashes as they are")
        }
    }

    /// Of a body, any part of which may match.
    static func bodyMatches(_ text: String) throws(ConfigError) {
        try require(!text.isEmpty, "an empty pattern matches every body", fix: "write one, or leave the key out")
        try pattern(text)
    }

    /// Characters are counted from 1, as an editor does.
    private static func place(_ problem: PatternProblem, in text: String) -> String {
        guard let offset = problem.offset else { return problem.reason }
        guard offset < text.utf8.count else { return "\(problem.reason), at its end" }
        let before = text.utf8.prefix(offset)
        let character = String(decoding: before, as: UTF8.self).count + 1
        return
            "\(problem.reason), at character \(character), before '\(String(decoding: text.utf8.dropFirst(offset), as: UTF8.self))'"
    }

    /// Bytes as `00 01ff`: pairs of digits, spaces between them or not.
    static func hexBytes(_ text: String) throws(ConfigError) -> [UInt8] {
        var bytes: [UInt8] = []
        var high: UInt8?
        for (index, character) in text.enumerated() {
            if character == " ", high == nil { continue }
            guard let digit = character.hexDigitValue, character.isASCII else {
                throw ConfigError(
                    code: .invalid, problem: "'\(character)' at character \(index + 1) is no hexadecimal digit",
                    fix: "write bytes as pairs of 0-9 and a-f: 00 01 ff")
            }
            if let first = high {
                bytes.append(first << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        guard high == nil, !bytes.isEmpty else {
            throw ConfigError(
                code: .invalid, problem: bytes.isEmpty ? "there is no byte" : "the last byte has one digit",
                fix: "write bytes as pairs of 0-9 and a-f: 00 01 ff")
        }
        return bytes
    }

    static func hexText(_ bytes: [UInt8]) -> String {
        bytes.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined(separator: " ")
    }

    static func secret(_ text: String) throws(ConfigError) {
        try require((1...512).contains(text.utf8.count), "it has no or more than 512 bytes", fix: "use 1 to 512")
    }

    static func helo(_ text: String) throws(ConfigError) {
        try require(
            (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F },
            "'\(text)' is not a name that EHLO could give",
            fix: "write a host name, or an address in brackets: [10.0.0.9]")
    }

    static func databaseUser(_ text: String) throws(ConfigError) {
        try require(
            (1...63).contains(text.utf8.count) && !text.utf8.contains(0), "'\(text)' is not a user's name",
            fix: "use 1 to 63 bytes")
    }

    /// - Returns: without the dot at the end; `.` for the root.
    static func domainName(_ text: String) throws(ConfigError) -> String {
        guard text != "." else { return text }
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        let labels = name.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        try require(
            name.utf8.count <= 253 && labels.allSatisfy { (1...63).contains($0.count) }
                && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F },
            "'\(text)' is not a domain name", fix: "write one such as www.example.com")
        return name
    }
}
