import PoiseLoop
import PoiseModel

/// A timer of the control loop by itself: calls back when it is due, and may be set again from there.
final class LoopTimer: Channel {
    var fired: () -> Void = {}

    override func timerFired() { fired() }

    /// Replaces an earlier setting.
    func set(_ deadline: MonotonicTime) { armTimer(at: deadline) }

    /// To be called before it is dropped.
    func end() { releaseTimer() }
}
