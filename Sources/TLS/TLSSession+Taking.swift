import PoiseLoop

extension TLSSession {
    /// Begins with bytes that were received before the session was there, behind a PROXY protocol header. Before the
    /// first ``handshake(_:)``, and no more than a standard buffer holds.
    ///
    /// SAFETY: `wire` lives as long as the session.
    public func take(_ ciphertext: Span<UInt8>) {
        precondition(ciphertext.count <= BufferPool.standardBytes, "more than a standard buffer holds")
        let buffer = engine.loop.takeStandardBuffer()
        buffer.write(ciphertext, at: 0)
        unsafe wire.pointee.dropInput()
        unsafe wire.pointee.input = buffer
        unsafe wire.pointee.inputStart = 0
        unsafe wire.pointee.inputEnd = ciphertext.count
        unsafe wire.pointee.receives = 1
    }
}
