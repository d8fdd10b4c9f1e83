/// How many targets of a group must be usable so that nobody is told of too few.
public enum MinimumHealthy: Sendable, Hashable, CustomStringConvertible {
    /// 1...10,000
    case count(Int)
    /// 1...100 percent of the targets that are no backups and have a weight.
    case percent(Int)

    /// - Parameter targets: of which a share is meant.
    /// - Returns: a share is rounded up: 50 % of 3 are 2.
    public func count(of targets: Int) -> Int {
        switch self {
        case .count(let count): count
        case .percent(let percent): (targets * percent + 99) / 100
        }
    }

    public var description: String {
        switch self {
        case .count(let count): "\(count)"
        case .percent(let percent): "\(percent)%"
        }
    }

    /// `2`, `50%`
    ///
    /// - Throws: ``ConfigError`` with an empty path.
    public init(parsing text: String) throws(ConfigError) {
        let isShare = text.hasSuffix("%")
        let digits = isShare ? text.dropLast() : text[...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits)
        else {
            throw ConfigError(
                code: .wrongType, problem: "'\(text)' is neither a number of targets nor a share",
                fix: "write 2, \"50%\" or off")
        }
        guard (1...(isShare ? 100 : 10_000)).contains(number) else {
            throw ConfigError(
                code: .outOfRange, problem: "\(text) is outside \(isShare ? "1%...100%" : "1...10000")",
                fix: "write 2, \"50%\" or off")
        }
        self = isShare ? .percent(number) : .count(number)
    }
}
