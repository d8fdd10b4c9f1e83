/// The last entries of a history: changes of a target's state, with what they are remembered by.
///
/// Memory grows with the entries up to the capacity.
public struct HistoryRing<Entry: Sendable>: Sendable {
    public let capacity: Int
    private var entries: [Entry] = []
    /// Where the oldest entry stands once the ring is full.
    private var oldest = 0
    /// All entries ever added, the forgotten ones included.
    public private(set) var added = 0

    /// - Parameter capacity: 1 or more.
    public init(capacity: Int = 100) {
        precondition(capacity > 0, "a history of nothing")
        self.capacity = capacity
    }

    public var count: Int { entries.count }

    /// Forgets the oldest entry when full.
    public mutating func append(_ entry: Entry) {
        added += 1
        guard entries.count == capacity else { return entries.append(entry) }
        entries[oldest] = entry
        oldest = (oldest + 1) % capacity
    }

    /// Oldest first: 0 is the oldest one kept.
    public subscript(index: Int) -> Entry { entries[(oldest + index) % entries.count] }
}
