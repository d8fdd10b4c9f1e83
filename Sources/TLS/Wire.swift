import COpenSSL
import PoiseLoop

/// The bytes of one session that are on their way between the socket and OpenSSL, and what OpenSSL's callbacks need
/// to know of the session.
///
/// SAFETY: behind a pointer of the session's, changed on its thread only. Buffers are the loop's; a range within one
/// is inside of its capacity. The unmanaged references are held by the session.
@safe struct Wire {
    /// Received and not yet read by OpenSSL: `inputStart..<inputEnd` of it.
    var input: Buffer?
    var inputStart = 0
    var inputEnd = 0
    /// Written by OpenSSL and not yet taken by the kernel: `outputStart..<outputEnd` of it.
    var output: Buffer?
    var outputStart = 0
    var outputEnd = 0
    let loop: Unmanaged<EventLoop>
    /// One of the two is set.
    let server: Unmanaged<TLSServerContext>?
    let slot: Unmanaged<ResumptionSlot>?
    /// Index in the server's store of what the client's hello led to.
    var choice: Int32 = 0
    /// The kernel refused bytes of `output`: writability will tell when it takes more.
    var isBlocked = false
    /// How often something was received: once means that `input` begins with the connection's first byte.
    var receives = 0
    /// The last receive filled its buffer: there may be more in the kernel.
    var mayHaveMore = false
    var hasEnded = false
    var isTruncated = false
    var isEstablished = false
    /// `input` came with the end of the handshake.
    var isFresh = false

    var hasInput: Bool { inputStart < inputEnd }
    var hasOutput: Bool { outputStart < outputEnd }

    @inline(__always)
    mutating func dropEmptyInput() {
        if inputStart == inputEnd { dropInput() }
    }

    mutating func dropInput() {
        guard let buffer = input else { return }
        unsafe loop._withUnsafeGuaranteedRef { $0.releaseBuffer(buffer) }
        (input, inputStart, inputEnd) = (nil, 0, 0)
    }

    mutating func dropOutput() {
        guard let buffer = output else { return }
        unsafe loop._withUnsafeGuaranteedRef { $0.releaseBuffer(buffer) }
        (output, outputStart, outputEnd) = (nil, 0, 0)
    }

    /// Room for at least `count` bytes behind what is there, which is nothing where a larger buffer is needed.
    mutating func prepareOutput(_ count: Int) {
        if let buffer = output, buffer.capacity - outputEnd >= count { return }
        if hasOutput { return }
        dropOutput()
        output = unsafe loop._withUnsafeGuaranteedRef {
            count <= BufferPool.standardBytes ? $0.takeStandardBuffer() : $0.takeLargeBuffer()
        }
    }
}

// MARK: OpenSSL's side

extension Wire {
    /// Made once; OpenSSL keeps the pointer in every BIO.
    ///
    /// SAFETY: immutable after it was made.
    private nonisolated(unsafe) static let method: OpaquePointer = {
        let type = BIO_get_new_index() | sourceSink
        guard let method = unsafe BIO_meth_new(type, "loop") else { fatalError("out of memory") }
        unsafe BIO_meth_set_read_ex(method) { unsafe Wire.read($0, $1, $2, $3) }
        unsafe BIO_meth_set_write_ex(method) { unsafe Wire.write($0, $1, $2, $3) }
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return unsafe method
    }()

    private static let sourceSink: CInt = 0x0400

    /// SAFETY: `current` outlives the BIO.
    static func newBIO(_ current: UnsafeMutablePointer<UnsafeMutablePointer<Wire>?>) -> OpaquePointer {
        guard let bio = unsafe BIO_new(method) else { fatalError("out of memory") }
        unsafe BIO_set_data(bio, current)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// The wire of the session that the running call is about.
    @inline(__always)
    static func current(of bio: OpaquePointer?) -> UnsafeMutablePointer<Wire> {
        // SAFETY: set by `newBIO`; a session selects its wire before each call.
        unsafe BIO_get_data(bio).assumingMemoryBound(to: UnsafeMutablePointer<Wire>?.self).pointee!
    }

    /// SAFETY: OpenSSL gives room for `room` bytes.
    private static func read(
        _ bio: OpaquePointer?, _ bytes: UnsafeMutablePointer<CChar>?, _ room: Int, _ moved: UnsafeMutablePointer<Int>?
    ) -> CInt {
        let wire = unsafe current(of: bio)
        let (start, end) = unsafe (wire.pointee.inputStart, wire.pointee.inputEnd)
        guard start < end, let buffer = unsafe wire.pointee.input, let bytes = unsafe bytes else {
            unsafe poise_bio_clear_retry(bio)
            unsafe poise_bio_retry_read(bio)
            unsafe moved?.pointee = 0
            return 0
        }
        let count = min(room, end - start)
        unsafe UnsafeMutableRawPointer(bytes).copyMemory(from: buffer.address + start, byteCount: count)
        unsafe wire.pointee.inputStart = start + count
        unsafe moved?.pointee = count
        return 1
    }

    /// Takes what there is room for: what comes unasked (answers to key updates, alerts) is bounded by one buffer.
    ///
    /// SAFETY: OpenSSL gives `count` bytes.
    private static func write(
        _ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int, _ moved: UnsafeMutablePointer<Int>?
    ) -> CInt {
        let wire = unsafe current(of: bio)
        if unsafe wire.pointee.output == nil { unsafe wire.pointee.prepareOutput(1) }
        let end = unsafe wire.pointee.outputEnd
        guard let buffer = unsafe wire.pointee.output, end < buffer.capacity, let bytes = unsafe bytes else {
            unsafe poise_bio_clear_retry(bio)
            unsafe poise_bio_retry_write(bio)
            unsafe moved?.pointee = 0
            return 0
        }
        let taken = min(count, buffer.capacity - end)
        unsafe (buffer.address + end).copyMemory(from: UnsafeRawPointer(bytes), byteCount: taken)
        unsafe wire.pointee.outputEnd = end + taken
        unsafe moved?.pointee = taken
        return 1
    }
}
