import PoisePlatform

/// Tells when the heap keeps much that nobody uses: after a storm of handshakes, each of which takes three times what its
/// connection needs later, malloc would hold all of it for ever.
///
/// What counts is memory beyond what the open connections explain, so that giving back, which holds up allocations of the
/// workers for some milliseconds, waits until a storm's connections are gone and is done once.
struct HeapWatch {
    /// More than an idle connection has with TLS on it, less than one in a handshake.
    private static let explainedPerConnection = 32 * 1024
    /// Less is not worth a pause.
    private static let worthGiving = 32 << 20

    /// The least that was ever there unexplained.
    private var least: Int?
    /// What is known to be in use: the least, or what giving back has left.
    private var kept = 0
    private var hasJustGiven = false
    /// Connections when memory was given back last.
    private var givenAt = 0

    /// One look, some seconds after the one before.
    ///
    /// - Parameters:
    ///   - resident: bytes; 0 where it is not known.
    ///   - connections: of clients, open now.
    /// - Returns: whether free memory is to be given back now.
    mutating func isDue(resident: Int, connections: Int) -> Bool {
        guard resident > 0 else { return false }
        let unexplained = resident - connections * Self.explainedPerConnection
        guard let least else {
            (least, kept) = (unexplained, unexplained)
            return false
        }
        self.least = min(least, unexplained)
        if connections * 2 < givenAt {
            // In a storm, giving back leaves what its handshakes use. That is free now.
            (kept, givenAt) = (min(least, unexplained), connections)
        } else if hasJustGiven {
            // What is left after giving back is in use: no reason to try again.
            kept = unexplained
        }
        hasJustGiven = false
        guard unexplained - kept >= Self.worthGiving else { return false }
        (hasJustGiven, givenAt) = (true, connections)
        return true
    }
}

extension Daemon {
    /// Gives free memory back where the heap keeps much of it.
    func lookAtMemory() async {
        guard heap.isDue(resident: ProcessMemory.resident, connections: connectionCount) else { return }
        await HelperThread.run("memory") { ProcessMemory.giveBackFree() }
    }
}
