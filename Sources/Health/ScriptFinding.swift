/// What a conversation came to, where there is something to tell of it.
public struct ScriptFinding: Sendable, Equatable {
    public enum Cause: Sendable, Equatable {
        /// All was heard.
        case passed
        /// Something else came, or the target said why not.
        case differs
        /// The time was over.
        case late
        /// The target closed.
        case closed
        /// More came than one step may receive.
        case tooLong
        /// The search for a pattern was given up.
        case tooCostly
    }

    public var cause: Cause
    /// Counted from 1 in a script that is written out; `nil` in one that Poise knows.
    public var step: Int?
    /// What was waited for, for people.
    public var expected: String
    /// What came instead, at most ``AnswerExcerpt/bytesMax`` bytes of it; of a refusal, the words of it. Where all was heard,
    /// what is worth telling.
    public var answer: [UInt8]

    public init(_ cause: Cause, step: Int? = nil, expected: String, answer: [UInt8]) {
        (self.cause, self.step, self.expected, self.answer) = (cause, step, expected, answer)
    }

    /// `step 2: expected '+PONG', got '-NOAUTH Authentication required.'`
    public var text: String {
        step.map { "step \($0): \(what)" } ?? what
    }

    private var what: String {
        let got = answer.isEmpty ? "nothing" : AnswerExcerpt.quoted(answer)
        return switch cause {
        case .passed: answer.isEmpty ? "answered" : AnswerExcerpt.escaped(answer)
        case .differs, .late: "expected \(expected), got \(got)\(advice)"
        case .closed: "expected \(expected), got \(got) and the end of the connection"
        case .tooLong: "expected \(expected), got \(ScriptMatcher.stepBytesMax) bytes without it, beginning with \(got)"
        case .tooCostly: "the search for \(expected) was given up after too many steps, in \(got)"
        }
    }

    private var advice: String {
        answer.starts(with: "-NOAUTH".utf8) ? ": the check needs a 'password'" : ""
    }
}
