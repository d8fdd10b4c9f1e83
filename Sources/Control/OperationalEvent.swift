import PoiseModel

/// One line about Poise itself: a constant message, and values in fields.
public struct OperationalEvent: Sendable {
    public enum Level: String, Sendable { case info, warning, error }
    public var level: Level
    public var message: String
    public var fields: [(name: String, value: String)]

    public init(_ level: Level, _ message: String, _ fields: [(name: String, value: String)] = []) {
        (self.level, self.message, self.fields) = (level, message, fields)
    }

    /// `poise: warning: target changed group=web target=127.0.0.1:7001 … evidence="Connection refused after 0 ms"`
    public var line: String {
        var text = "poise: \(level == .info ? "" : "\(level.rawValue): ")\(message)"
        for (name, value) in fields { text += " \(name)=\(Self.quoted(value))" }
        return text
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x5C && $0 != 0x7F }
        guard !isPlain else { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            default: text += scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
            }
        }
        return text + "\""
    }
}
