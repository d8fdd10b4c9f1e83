import PoiseModel
import PoiseRegex

/// Leads a conversation with one target: bytes in, the next thing to do out.
///
///     begin ──> say ──said──> say | hear ──heard──> hear | say | passed | failed
///
/// At most 16 KiB are received for one step, however they are cut; after that the step has failed. What is left over when
/// something is said is dropped: it was no answer to that.
public struct ScriptMatcher {
    /// Bytes that one step looks at.
    public static let stepBytesMax = 16 * 1024

    public enum Action: Sendable, Equatable {
        /// Send ``words``, then tell by ``said()``.
        case say
        /// Feed what arrives.
        case hear
        case passed
        case failed(ScriptFinding)
    }

    private let dialogue: Dialogue
    private var turn = 0
    /// What came and was not used up, while a step waits.
    private var pending: [UInt8] = []
    /// Bytes at the front of `pending` that the search for a text has seen.
    private var seen = 0
    private var search = TextSearch([])
    /// What is to be sent.
    public private(set) var words: [UInt8] = []
    /// What is worth telling of a target that passed.
    public private(set) var note = ""
    /// Answers that the protocol asked for within this turn.
    private var exchanges = 0

    public init(_ dialogue: Dialogue) { self.dialogue = dialogue }

    public var farewell: Dialogue.Farewell { dialogue.farewell }

    /// The first step.
    public mutating func begin() -> Action {
        (turn, note) = (0, "")
        return enter()
    }

    /// ``words`` have left.
    public mutating func said() -> Action {
        if case .say? = current { turn += 1 } else { return look() }
        return enter()
    }

    /// The next bytes. Not while something is to be said.
    public mutating func heard(_ bytes: Span<UInt8>) -> Action {
        for index in bytes.indices {
            guard pending.count < Self.stepBytesMax else { break }
            pending.append(bytes[index])
        }
        return look()
    }

    /// The target has closed.
    public func closed() -> ScriptFinding { finding(.closed) }

    /// The time is over. `differs` where something came.
    public func timedOut() -> ScriptFinding { finding(.late) }

    /// Something came that this step did not want.
    public var hasAnswer: Bool { !pending.isEmpty }

    /// Gives memory back.
    public mutating func end() { (pending, words) = ([], []) }

    // MARK: Steps

    private var current: Dialogue.Turn? { turn < dialogue.turns.count ? dialogue.turns[turn] : nil }

    private mutating func enter() -> Action {
        exchanges = 0
        switch current {
        case nil: return .passed
        case .say(let bytes):
            words = bytes
            pending.removeAll(keepingCapacity: true)
            return .say
        case .hear(let expectation):
            seen = 0
            if case .text(let search) = expectation.kind { self.search = search }
            return pending.isEmpty && !isFoundInNothing(expectation) ? .hear : look()
        }
    }

    private func isFoundInNothing(_ expectation: Expectation) -> Bool {
        switch expectation.kind {
        case .text(let search): search.isFound
        case .pattern(let pattern): pattern.search([UInt8]().span) != .absent
        case .line, .reply, .message: false
        }
    }

    /// Whether what is pending is what this step waits for.
    private mutating func look() -> Action {
        guard case .hear(let expectation)? = current else { return .hear }
        switch expectation.kind {
        case .text:
            let before = seen
            seen = pending.count
            var search = self.search
            let count = search.find(in: pending.span.extracting(droppingFirst: before))
            self.search = search
            if let count { return advance(using: before + count) }
        case .pattern(let pattern):
            switch pattern.search(pending.span) {
            case .found(let end): return advance(using: end)
            case .absent: break
            case .tooCostly: return .failed(finding(.tooCostly))
            }
        case .line(let start):
            if let end = pending.firstIndex(of: 0x0A) {
                return pending.starts(with: start.utf8) ? advance(using: end + 1) : .failed(finding(.differs))
            }
        case .reply(let code):
            if let result = reply(code) { return result }
        case .message(let judge):
            if let result = take(judge(pending.span), expectation) { return result }
        }
        return pending.count < Self.stepBytesMax ? .hear : .failed(finding(.tooLong))
    }

    private mutating func advance(using count: Int) -> Action {
        pending.removeFirst(count)
        turn += 1
        return enter()
    }

    /// - Returns: `nil` where the reply is not complete.
    private mutating func reply(_ code: String) -> Action? {
        var start = 0
        while let end = pending[start...].firstIndex(of: 0x0A) {
            let line = pending[start..<end]
            guard line.starts(with: code.utf8) else { return .failed(finding(.differs)) }
            start = end + 1
            if line.dropFirst(code.utf8.count).first != UInt8(ascii: "-") { return advance(using: start) }
        }
        return nil
    }

    /// - Returns: `nil` where the message is not complete.
    private mutating func take(_ verdict: MessageVerdict, _ expectation: Expectation) -> Action? {
        switch verdict {
        case .needMore: return nil
        case .accepted(let length, let note):
            if !note.isEmpty { self.note = note }
            return advance(using: length)
        case .answer(let length, let bytes):
            pending.removeFirst(length)
            exchanges += 1
            // No protocol asks twice.
            guard exchanges < 3 else { return .failed(finding(.differs)) }
            words = bytes
            return .say
        case .refused(let text):
            return .failed(finding(.differs, answer: Array(text.utf8.prefix(AnswerExcerpt.bytesMax))))
        case .foreign: return .failed(finding(.differs))
        }
    }

    private func finding(_ cause: ScriptFinding.Cause, answer: [UInt8]? = nil) -> ScriptFinding {
        guard case .hear(let expectation)? = current else {
            return ScriptFinding(cause, step: step, expected: "that words leave", answer: [])
        }
        return ScriptFinding(
            cause, step: step, expected: expectation.name,
            answer: answer ?? Array(pending.prefix(AnswerExcerpt.bytesMax)))
    }

    private var step: Int? { dialogue.isWrittenOut ? min(turn, dialogue.turns.count - 1) + 1 : nil }
}
