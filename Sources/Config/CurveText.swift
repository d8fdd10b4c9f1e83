import PoiseModel

/// The curve of a slow start: `linear`, or its aggression with up to two digits behind the point, in hundredths.
enum CurveText {
    static func parse(_ text: String) throws(ConfigError) -> Int {
        guard text != "linear" else { return 100 }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = number(parts[0]), whole <= 10,
            let hundredths = parts.count == 1 ? 0 : fraction(parts[1])
        else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not a curve",
                fix: "write linear, or an exponent such as 2 or 0.5")
        }
        let value = whole * 100 + hundredths
        guard (10...1_000).contains(value) else {
            throw ConfigError(
                code: .outOfRange, problem: "\(text) is outside 0.1...10", fix: "use a value from 0.1 to 10, or linear")
        }
        return value
    }

    static func format(_ hundredths: Int) -> String {
        guard hundredths != 100 else { return "linear" }
        let rest = hundredths % 100
        return rest == 0
            ? "\(hundredths / 100)"
            : "\(hundredths / 100).\(rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)")"
    }

    private static func number(_ digits: Substring) -> Int? {
        guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(digits)
    }

    private static func fraction(_ digits: Substring) -> Int? {
        guard digits.utf8.count <= 2, let value = number(digits) else { return nil }
        return digits.utf8.count == 1 ? value * 10 : value
    }
}
