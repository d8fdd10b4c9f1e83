/// Targets that a retry leaves out: those which this exchange has tried already.
///
/// A value of at most eight indices, kept in place; a ninth replaces the oldest.
public struct Exclusions: Sendable {
    public static let capacity = 8

    @usableFromInline var indices: InlineArray<8, Int32>
    @usableFromInline var inserted: Int

    /// No exclusion: the first try.
    @inlinable public init() {
        indices = InlineArray(repeating: -1)
        inserted = 0
    }

    @inlinable public var isEmpty: Bool { inserted == 0 }
    /// How many are held, 0...8.
    @inlinable public var count: Int { min(inserted, Self.capacity) }

    /// The `position`-th index held, `position` in `0..<count`, in no useful order.
    @inlinable public subscript(position: Int) -> Int { Int(indices[position]) }

    /// Does nothing where `index` is held already.
    @inlinable public mutating func insert(_ index: Int) {
        guard !contains(index) else { return }
        indices[inserted % Self.capacity] = Int32(index)
        inserted += 1
    }

    @inlinable public func contains(_ index: Int) -> Bool {
        for position in 0..<count where indices[position] == Int32(truncatingIfNeeded: index) { return true }
        return false
    }
}
