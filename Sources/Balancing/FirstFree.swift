/// The first target in the order of the file that has room: as few targets work as can do the work, the others may sleep.
///
/// Weights do not count, but for 0. Where all are full it names the first one: who asks finds out that it is full, and waits.
///
/// Up to ``exactTargetsMax`` targets the order is exact. Above, the targets before a mark are known to be full or closed, and
/// each pick looks again at ``recheckMax`` of them in turn; so room that is freed before the mark is found within
/// n / ``recheckMax`` picks. Source: HAProxy's `first`.
public struct FirstFree: Sendable {
    public static let exactTargetsMax = 128
    public static let recheckMax = 64

    @usableFromInline let count: Int
    @usableFromInline let flowsMax: Int
    /// Targets before it had no room when they were seen last.
    @usableFromInline var mark = 0
    /// Where looking again goes on.
    @usableFromInline var recheck = 0

    /// - Parameter flowsMax: of each target.
    public init(count: Int, flowsMax: Int) { (self.count, self.flowsMax) = (count, flowsMax) }

    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: a step per target without room before the one that is returned; at most ``exactTargetsMax`` of them while
    ///   not all are full. No allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == count, "one target per place")
        func isOpen(_ index: Int) -> Bool { targets.weight(at: index) > 0 && !excluded.contains(index) }
        func hasRoom(_ index: Int) -> Bool { isOpen(index) && targets.load(at: index) < flowsMax }
        if count <= Self.exactTargetsMax {
            for index in 0..<count where hasRoom(index) { return index }
        } else {
            for _ in 0..<min(Self.recheckMax, mark) {
                let index = recheck
                recheck = index + 1 >= mark ? 0 : index + 1
                if hasRoom(index) {
                    mark = index
                    recheck = 0
                    return index
                }
            }
            // A step per pick may take the mark far; it comes back by looking again.
            var index = mark
            var steps = 0
            while index < count, steps < Self.exactTargetsMax {
                if hasRoom(index) { return index }
                index += 1
                steps += 1
                mark = index
            }
        }
        for index in 0..<count where isOpen(index) { return index }
        return nil
    }
}
