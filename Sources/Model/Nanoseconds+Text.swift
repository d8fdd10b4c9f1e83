extension Nanoseconds: CustomStringConvertible {
    /// The longest unit that leaves no rest: `75s`, `1h`, `250ms`. Nanoseconds have no unit in files; they appear only
    /// in differences.
    public var description: String {
        if self == .unlimited { return "unlimited" }
        for unit in Self.units where count % unit.nanoseconds == 0 && (count != 0 || unit.name == "s") {
            return "\(count / unit.nanoseconds)\(unit.name)"
        }
        return "\(count)ns"
    }

    /// `5s`, `250ms`, `1h30m`: whole numbers with a unit each, from the longest to the shortest, no unit twice.
    ///
    /// - Throws: ``ConfigError`` with an empty path that says what to write.
    public init(parsing text: String) throws(ConfigError) {
        var rest = text.utf8[...]
        var total: Int64 = 0
        var smallest = Int64.max
        while !rest.isEmpty {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            rest = rest[digits.endIndex...]
            let name = String(rest.prefix { !(0x30...0x39).contains($0) }) ?? ""
            rest = rest.dropFirst(name.utf8.count)
            guard !digits.isEmpty, let number = Int64(String(digits) ?? "") else { throw Self.refused(text) }
            guard !name.isEmpty else {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' has no unit", fix: "write \(text)s for seconds, or \(text)ms")
            }
            guard let unit = Self.units.first(where: { $0.name == name }), unit.nanoseconds < smallest else {
                throw Self.refused(text)
            }
            smallest = unit.nanoseconds
            let (product, tooLong) = number.multipliedReportingOverflow(by: unit.nanoseconds)
            let (sum, tooLongInAll) = total.addingReportingOverflow(product)
            guard !tooLong, !tooLongInAll else { throw Self.refused(text) }
            total = sum
        }
        guard smallest != .max else { throw Self.refused(text) }
        self.init(total)
    }

    private static func refused(_ text: String) -> ConfigError {
        ConfigError(
            code: .wrongType, problem: "'\(text)' is not a length of time",
            fix: "write whole numbers with d, h, m, s, ms or us: 5s, 250ms, 1h30m")
    }

    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000), ("us", 1_000),
    ]
}
