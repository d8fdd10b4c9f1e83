import PoiseModel

extension EventLoop {
    /// Suspends the calling task, which must run on this loop, until `deadline`; never less, at most a tick (8 ms)
    /// and the work of one wake-up more.
    ///
    /// - Throws: `.cancelled` only.
    public func sleep(until deadline: MonotonicTime) async throws(SocketFailure) {
        let channel = WaitChannel(loop: self)
        defer { channel.end() }
        if await channel.wait(for: [], until: deadline) == .cancelled { throw .cancelled }
    }

    /// Suspends for `span` from the start of this wake-up.
    public func sleep(for span: Nanoseconds) async throws(SocketFailure) { try await sleep(until: now + span) }
}
