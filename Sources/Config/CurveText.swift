import PoiseModel

/// The curve of a slow start: `linear`, or its aggression with up to two digits behind the point, in hundredths.
enum CurveText {
    static func parse(_ text: String) throws(ConfigError) -> Int {
        guard text != "linear" else { return 100 }
        guard let value = Hundredths.parse(text) else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not a curve",
                fix: "write linear, or an exponent such as 2 or 0.5")
        }
        guard (10...1_000).contains(value) else {
            throw ConfigError(
                code: .outOfRange, problem: "\(text) is outside 0.1...10", fix: "use a value from 0.1 to 10, or linear")
        }
        return value
    }

    static func format(_ hundredths: Int) -> String { hundredths == 100 ? "linear" : Hundredths.format(hundredths) }
}
