/// Why a text is no regular expression.
public struct PatternProblem: Error, Equatable, CustomStringConvertible {
    /// As PCRE2 says it: `missing closing parenthesis`.
    public let reason: String
    /// The byte before which PCRE2 stopped reading, 0...; `nil` where no single place is to blame.
    public let offset: Int?

    public init(_ reason: String, at offset: Int? = nil) { (self.reason, self.offset) = (reason, offset) }

    public var description: String { offset.map { "\(reason), at byte \($0)" } ?? reason }
}
