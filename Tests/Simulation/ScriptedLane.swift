import PoiseModel

/// One stream of a scripted HTTP/2 connection, as its end knows it.
class ScriptedLane {
    enum Step {
        case head([Field], ends: Bool)
        case data(ArraySlice<UInt8>, ends: Bool)
        case pause(Nanoseconds)
        case call(() -> Void)
    }

    /// 0 while its first HEADERS was not written.
    var id = 0

    // What this end sends.
    var steps: [Step] = []
    var isPaused = false
    /// Granted by Poise with WINDOW_UPDATE, less what was sent: what the initial window is goes on top.
    var sendCredit = 0
    var hasEnded = false
    var hasReset = false
    /// Poise has heard of the reset: nothing may come any more.
    var resetIsKnown = false

    // What Poise sends.
    /// Granted with WINDOW_UPDATE, less what came.
    var credit = 0
    var finalHeads = 0
    var peerHasEnded = false
    var peerHasReset = false
    /// As the final head has it.
    var contentLength: Int?
    var contentBytes = 0

    /// As SETTINGS_MAX_CONCURRENT_STREAMS counts. RFC 9113 §5.1.2
    var isOpen: Bool { id > 0 && !hasReset && !peerHasReset && !(hasEnded && peerHasEnded) }
    /// Nothing more will be sent on it.
    var isSilent: Bool { hasEnded || hasReset || peerHasReset }
}
