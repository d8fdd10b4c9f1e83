import COpenSSL
import PoiseLoop

/// What the TLS sessions of one loop share: one BIO between OpenSSL and the loop's buffers.
///
/// One BIO for all sessions, and not one each: calls into OpenSSL of one thread never nest, so that a pointer says
/// whose bytes the next call moves. A BIO of its own costs each session 300 bytes and two allocations.
///
/// SAFETY: `bio` is made here and released in `deinit`; every session holds a reference of it by `SSL_set_bio` and a
/// reference of its engine. `bio`'s data points to `current`, which lives as long as the engine. The wire in `current`
/// belongs to the session that makes the call and stands there only during it.
@safe public final class TLSEngine {
    public let loop: EventLoop
    let bio: OpaquePointer
    private let current: UnsafeMutablePointer<UnsafeMutablePointer<Wire>?>
    private var cipherNames: [UInt32: String] = [:]

    /// Used, as its sessions, on `loop`'s thread only.
    public init(loop: EventLoop) {
        self.loop = loop
        unsafe current = .allocate(capacity: 1)
        unsafe current.initialize(to: nil)
        // SAFETY: the method lives as long as the process.
        unsafe bio = Wire.newBIO(current)
    }

    deinit {
        unsafe BIO_free(bio)
        unsafe current.deallocate()
    }

    /// To be called before each call into OpenSSL that may move bytes.
    @inline(__always)
    func select(_ wire: UnsafeMutablePointer<Wire>) { unsafe current.pointee = wire }

    /// OpenSSL's name of a cipher, from one table per loop: a session's facts allocate nothing.
    func name(ofCipher cipher: OpaquePointer) -> String {
        let id = unsafe SSL_CIPHER_get_id(cipher)
        if let name = cipherNames[id] { return name }
        // SAFETY: a constant string of OpenSSL's, or none.
        let name = unsafe SSL_CIPHER_get_name(cipher).map { unsafe String(cString: $0) } ?? "unknown"
        cipherNames[id] = name
        return name
    }
}

@available(*, unavailable)
extension TLSEngine: Sendable {}
