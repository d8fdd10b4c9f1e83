import PoiseHealth
import PoiseLoop
import PoiseModel

/// Checks that keep their connection from probe to probe.
extension Probe {
    /// - Returns: whether the connection stays open until the next probe.
    func keepConnection() -> Bool {
        guard case .http(let probe) = check.spec.check.kind, probe.reusesConnection, !check.spec.usesHTTP2, !peerClosed,
            isOpen, prober.keep()
        else { return false }
        (phase, isCounted) = (.waiting, true)
        giveBackBuffers()
        schedule()
        prober.left()
        return true
    }

    /// The connection is none that waits for the next probe: it is gone, or in use.
    func stopCounting() {
        guard isCounted else { return }
        isCounted = false
        prober.keptEnded()
    }

    /// A probe on the connection of the one before. One chance: where it turns out to be gone, a new one is made.
    func askAgain() {
        sent = 0
        stopCounting()
        isKeptConnection = true
        phase = .asking
        armTimer(at: loop.now + check.spec.check.timeout)
        ask()
    }

    /// The connection of an earlier probe was gone before anything of an answer came: the target may have closed it as it
    /// pleased. The time of the probe goes on.
    func startOver() {
        release()
        begin()
    }

    /// While nothing is asked, a target may close, and TLS may send tickets. Anything else ends the connection too.
    func lookAtKeptConnection() {
        guard isOpen else { return }
        let buffer = loop.buffers.takeStandard()
        defer { loop.buffers.release(buffer) }
        let result =
            session?.receive(self, into: buffer, 0, buffer.capacity) ?? receive(into: buffer, 0, buffer.capacity)
        guard !result.isBlocked || peerClosed else { return }
        let wasWaiting = phase == .waiting
        release()
        // The timer went with the socket.
        if wasWaiting { schedule() }
    }
}
