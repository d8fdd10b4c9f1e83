/// A number of slots that all workers take from.
public final class SlotLimiter: Sendable {
    private let taken = SharedWord()
    private let limitWord: SharedWord

    public init(limit: Int) { limitWord = SharedWord(UInt64(limit)) }

    public var limit: Int { Int(limitWord.value) }

    /// Takes effect for the next slot; slots taken above a lowered limit stay taken until they are given back.
    public func setLimit(_ limit: Int) { limitWord.value = UInt64(limit) }

    public var inUse: Int { Int(taken.value) }

    /// The limit was lowered below what is in use.
    public var isExceeded: Bool { inUse > limit }

    /// Past whoever waits: ``SlotQueue/take(_:before:)`` asks them first.
    ///
    /// - Returns: false when all slots are taken.
    public func take() -> Bool { taken.increment(below: limitWord.value) }

    /// Wakes nobody: ``SlotQueue/pass(_:)`` does.
    public func giveBack() { taken.add(-1) }
}
