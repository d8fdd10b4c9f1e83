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

    /// What was there unexplained at the start, or after free memory was given back last.
    private var kept: Int?
    private var hasJustGiven = false

    /// One look, some seconds after the one before.
    ///
    /// - Parameters:
    ///   - resident: bytes; 0 where it is not known.
    ///   - connections: of clients, open now.
    /// - Returns: whether free memory is to be given back now.
    mutating func isDue(resident: Int, connections: Int) -> Bool {
        guard resident > 0 else { return false }
        let unexplained = resident - connections * Self.explainedPerConnection
        guard let kept, !hasJustGiven else {
            // What is left after giving back is in use: no reason to try again.
            self.kept = unexplained
            hasJustGiven = false
            return false
        }
        guard unexplained - kept >= Self.worthGiving else { return false }
        hasJustGiven = true
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
