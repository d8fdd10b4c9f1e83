import PoiseModel
import PoiseRegex

/// Leads a conversation with one target: bytes in, the next thing to do out.
///
///     begin ──> say ──said──> say | hear ──heard──> hear | say | passed | failed
///
/// At most 16 KiB are received for one step, however they are cut; after that the step has failed. What is left over when
/// something is said is dropped: it was no answer to that.
///
/// A target that says it byte by byte costs no more than about twice what one does that says it at once: texts and lines are looked for
/// in what is new. A pattern cannot be; it is tried with each of the first pieces, then when they have doubled, and with
/// ``lookAgain()``, for which the caller waits until the target pauses.
public struct ScriptMatcher {
    /// Bytes that one step looks at.
    public static let stepBytesMax = 16 * 1024
    /// Pieces of one step that are each searched for a pattern: an answer has come by then, mostly.
    private static let eagerSearchesMax = 16

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
    /// Bytes at the front of `pending` that were searched.
    private var seen = 0
    /// Where the line begins that a reply has come to.
    private var lineStart = 0
    /// Searches for the pattern of this step.
    private var searches = 0
    /// With so many bytes pending it is worth looking for a pattern, or at a message.
    private var nextLook = 0
    /// What all looks together had before them, in bytes: what a target costs.
    public private(set) var bytesLookedAt = 0
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

    /// Bytes came that nobody has searched for the pattern of this step.
    public var hasUnseen: Bool {
        guard case .hear(let expectation)? = current, case .pattern = expectation.kind else { return false }
        return pending.count > seen
    }

    /// Searches what came: the target pauses, has closed, or its time is over.
    public mutating func lookAgain() -> Action { look(isDue: true) }

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
            (seen, lineStart, searches, nextLook) = (0, 0, 0, 0)
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
    ///
    /// - Parameter isDue: a pattern is searched for whatever that costs.
    private mutating func look(isDue: Bool = false) -> Action {
        guard case .hear(let expectation)? = current else { return .hear }
        switch expectation.kind {
        case .text:
            let before = takeNew()
            var search = self.search
            let count = search.find(in: pending.span.extracting(droppingFirst: before))
            self.search = search
            if let count { return advance(using: before + count) }
        case .pattern(let pattern):
            guard
                isDue || searches < Self.eagerSearchesMax || pending.count >= nextLook
                    || pending.count == Self.stepBytesMax
            else { return .hear }
            searches += 1
            (seen, nextLook) = (pending.count, pending.count * 2)
            bytesLookedAt += pending.count
            switch pattern.search(pending.span) {
            case .found(let end): return advance(using: end)
            case .absent: break
            case .tooCostly: return .failed(finding(.tooCostly))
            }
        case .line(let start):
            if let end = pending[takeNew()...].firstIndex(of: 0x0A) {
                return pending.starts(with: start.utf8) ? advance(using: end + 1) : .failed(finding(.differs))
            }
        case .reply(let code):
            if let result = reply(code) { return result }
        case .message(let judge):
            guard pending.count >= nextLook else { break }
            bytesLookedAt += pending.count
            if let result = take(judge(pending.span), expectation) { return result }
        }
        return pending.count < Self.stepBytesMax ? .hear : .failed(finding(.tooLong))
    }

    private mutating func advance(using count: Int) -> Action {
        pending.removeFirst(count)
        turn += 1
        return enter()
    }

    /// - Returns: how many bytes were seen before; now all are.
    private mutating func takeNew() -> Int {
        let before = seen
        seen = pending.count
        bytesLookedAt += seen - before
        return before
    }

    /// - Returns: `nil` where the reply is not complete.
    private mutating func reply(_ code: String) -> Action? {
        var position = takeNew()
        while let end = pending[position...].firstIndex(of: 0x0A) {
            let line = pending[lineStart..<end]
            guard line.starts(with: code.utf8) else { return .failed(finding(.differs)) }
            (position, lineStart) = (end + 1, end + 1)
            if line.dropFirst(code.utf8.count).first != UInt8(ascii: "-") { return advance(using: position) }
        }
        return nil
    }

    /// - Returns: `nil` where the message is not complete.
    private mutating func take(_ verdict: MessageVerdict, _ expectation: Expectation) -> Action? {
        switch verdict {
        case .needMore(let count):
            nextLook = count
            return nil
        case .accepted(let length, let note):
            if !note.isEmpty { self.note = note }
            return advance(using: length)
        case .answer(let length, let bytes):
            pending.removeFirst(length)
            nextLook = 0
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
