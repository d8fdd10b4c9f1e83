import PoiseModel

/// How much nonsense a peer may make before its connection ends: a bucket that leaks.
///
/// Each kind costs points, time gives points back, and so does honest work, so that a busy connection may cancel more
/// than one that does nothing else. The burst is 500 resets, 200 faults of the kind that makes us reset a stream, 100
/// SETTINGS or 2,000 PINGs at once, and a fifth of that for each second.
struct HTTP2Budget: Sendable {
    static var pointsMax: Int { 10_000 }
    private(set) var points = pointsMax
    private var refilledAt = Int64.min

    /// Cost: a comparison, unless a millisecond went by.
    @inline(__always) mutating func refill(_ now: MonotonicTime) {
        let (elapsed, overflow) = now.nanoseconds.subtractingReportingOverflow(refilledAt)
        guard elapsed >= 1_000_000 || overflow else { return }
        refilledAt = now.nanoseconds
        // 2,000 points for each second.
        points = overflow ? Self.pointsMax : Swift.min(Self.pointsMax, points &+ Int(elapsed / 500_000))
    }

    @inline(__always) mutating func credit(_ count: Int) {
        points = Swift.min(Self.pointsMax, points &+ count)
    }

    /// - Returns: false when the patience is at its end.
    mutating func charge(_ fault: HTTP2Fault) -> Bool {
        points -= Self.price(fault)
        return points >= 0
    }

    /// An answer's frame of content was sent: its reader may update both windows for it.
    static var dataFrameCredit: Int { 4 }
    /// The same for a frame that used a window up. Who opens windows by a few bytes makes a frame, and a record, of every
    /// few bytes: such updates are paid from the patience. Source: CVE-2019-9511.
    static func credit(cutShortAt count: Int) -> Int { Swift.min(dataFrameCredit, count / 64) }
    /// A stream came to its end as it should: one of ten may be cancelled for ever.
    static var finishedStreamCredit: Int { 2 }

    static func price(_ fault: HTTP2Fault) -> Int {
        switch fault {
        case .rapidReset, .refusedStreams, .continuationFlood, .tableSizeFlood: 20
        case .madeYouReset: 50
        case .settingsFlood: 100
        case .headerBomb: 200
        case .emptyData, .unknownFrameFlood: 10
        case .pingFlood, .priorityFlood: 5
        case .tinyData, .windowUpdateFlood, .lateFrameFlood: 2
        default: 0
        }
    }
}
