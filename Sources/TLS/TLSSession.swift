import COpenSSL
import PoiseLoop

/// One connection's TLS, over its ``Channel``, on one loop's thread.
///
/// OpenSSL works between the session's two pooled buffers; whole receives and sends of many records go between those and the
/// kernel. A buffer goes back to its pool as soon as it is empty, so that an idle session holds none.
///
///     handshake → receive, send, flush … → sendCloseNotify → free
///
/// Invariants:
/// 1. A short count of ``send(_:_:_:_:)``, ``hasUnsent`` and "the kernel refused" are the same thing.
/// 2. While ``mayHaveMore`` holds, no event need come for what is there: ask again.
/// 3. After a failure the session is only good for ``free()``. One that OpenSSL had no memory for begins so.
///
/// SAFETY: `ssl` and `wire` are made in `init` and released in `free`, which every method checks by `isFree`. `wire` holds
/// its context and slot unretained: `owner` and `slot` keep them.
@safe public final class TLSSession {
    /// `nil` only where OpenSSL had no memory: ``failure`` is set from the start, and asked before each use.
    let ssl: OpaquePointer?
    let wire: UnsafeMutablePointer<Wire>
    let engine: TLSEngine
    let context: AnyObject
    private let slot: ResumptionSlot?
    private var isFree = false
    /// Why ``handshake(_:)``, ``receive(_:into:_:_:)`` or ``send(_:_:_:_:)`` failed.
    public private(set) var failure: TLSFailure?

    /// The server's end of a connection that was accepted.
    public convenience init(server: TLSServerContext, engine: TLSEngine) {
        unsafe self.init(server.context.newSession(engine), server: server, engine: engine)
    }

    /// The client's end of a connection to `peer`.
    public convenience init(client: TLSClientContext, peer: TLSPeer, engine: TLSEngine) {
        unsafe self.init(client.context.newSession(engine), client: client, slot: peer.resumption, engine: engine)
        if let ssl = unsafe ssl { unsafe client.prepare(ssl, for: peer) }
    }

    /// Takes `ssl` over; `nil` makes a session that has failed.
    init(_ ssl: OpaquePointer?, server: TLSServerContext, engine: TLSEngine) {
        (self.engine, context, slot) = (engine, server, nil)
        unsafe self.ssl = unsafe ssl
        unsafe wire = .allocate(capacity: 1)
        let loop = unsafe Unmanaged.passUnretained(engine.loop)
        unsafe wire.initialize(to: Wire(loop: loop, server: .passUnretained(server), slot: nil))
        if let ssl = unsafe ssl { unsafe SSL_set_accept_state(ssl) } else { failure = TLSFailure(.noMemory) }
    }

    private init(_ ssl: OpaquePointer?, client: TLSClientContext, slot: ResumptionSlot?, engine: TLSEngine) {
        (self.engine, context, self.slot) = (engine, client, slot)
        unsafe self.ssl = unsafe ssl
        unsafe wire = .allocate(capacity: 1)
        let loop = unsafe Unmanaged.passUnretained(engine.loop)
        let slot = unsafe slot.map { unsafe Unmanaged.passUnretained($0) }
        unsafe wire.initialize(to: Wire(loop: loop, server: nil, slot: slot))
        if let ssl = unsafe ssl { unsafe SSL_set_connect_state(ssl) } else { failure = TLSFailure(.noMemory) }
    }

    deinit { free() }

    /// Gives memory and buffers back. Idempotent; also done by `deinit`.
    public func free() {
        guard !isFree else { return }
        isFree = true
        if let ssl = unsafe ssl {
            unsafe engine.select(wire)
            // A session that is freed without a close_notify would take its ticket out of use with it.
            unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
            unsafe SSL_free(ssl)
        }
        unsafe wire.pointee.dropInput()
        unsafe wire.pointee.dropOutput()
        unsafe wire.deallocate()
    }

    // MARK: Handshake

    public enum Progress {
        /// Bytes of the peer may be at hand: receive next. What this side still has to say (the client's Finished,
        /// the server's tickets) leaves with the first send, or when there is nothing to receive.
        case done
        /// Call again when the channel is readable, or writable where `wantsWritable`.
        case blocked(wantsWritable: Bool)
        /// The alert, if one is due, was sent as far as the kernel took it.
        case failed(TLSFailure)
    }

    /// At most so many receives per call: a peer with much to say must not hold up the others.
    private static let receivesPerTurn = 4

    /// Goes on with the handshake as far as the peer's bytes reach.
    public func handshake(_ channel: Channel) -> Progress {
        precondition(!isFree)
        if let failure { return .failed(failure) }
        var receives = 0
        defer { unsafe wire.pointee.dropEmptyInput() }
        while true {
            unsafe engine.select(wire)
            let result = unsafe SSL_do_handshake(ssl)
            if result == 1 { return established(channel) }
            let want = whatItWants()
            guard want != SSL_NOTHING else { return .failed(fail(channel)) }
            switch flush(channel) {
            case .done: break
            case .blocked: return .blocked(wantsWritable: true)
            case .failed: return .failed(failure!)
            }
            guard want == SSL_READING else { continue }
            guard receives < Self.receivesPerTurn else {
                channel.again()
                return .blocked(wantsWritable: false)
            }
            receives += 1
            let received = fill(channel, large: false)
            if received.isBlocked { return .blocked(wantsWritable: false) }
            if let code = received.failure { return .failed(fail(.socket(code))) }
            if received.isEndOfStream { return .failed(fail(TLSFailure(.peerClosed))) }
        }
    }

    private func established(_ channel: Channel) -> Progress {
        unsafe wire.pointee.isEstablished = true
        unsafe wire.pointee.isFresh = wire.pointee.hasInput
        // TLS 1.2: the client waits for our last message. All others may leave later, with the first bytes.
        let mayWait = unsafe SSL_is_server(ssl) == 0 || SSL_version(ssl) == TLS1_3_VERSION
        if mayWait, unsafe SSL_is_server(ssl) == 0 || wire.pointee.hasInput { return .done }
        if case .failed = flush(channel) { return .failed(failure!) }
        return .done
    }

    // MARK: Bytes

    /// Decrypts into `start..<end`: as much as is at hand or comes with one receive.
    ///
    /// The meaning is ``Channel/receive(into:_:_:)``'s: a count, the end of the stream (see ``isTruncated``), "would
    /// block", or a failure (EPROTO with ``failure`` where TLS itself failed).
    public func receive(_ channel: Channel, into buffer: Buffer, _ start: Int, _ end: Int) -> IOResult {
        precondition(0 <= start && start < end && end <= buffer.capacity && !isFree)
        if unsafe wire.pointee.hasEnded { return .endOfStream }
        guard failure == nil else { return .failed(Self.protocolError) }
        unsafe engine.select(wire)
        var at = start
        var asked = false
        // What a handshake left at hand was received just now: no event can have come since.
        let isFresh = unsafe wire.pointee.isFresh
        unsafe wire.pointee.isFresh = false
        defer { unsafe wire.pointee.dropEmptyInput() }
        while at < end {
            if unsafe !wire.pointee.hasInput && SSL_pending(ssl) == 0 {
                // One receive per call: a full one left a mark, and the caller asks again in its turn. Whether the
                // kernel has more than what was at hand is not known.
                if asked { break }
                if at > start {
                    unsafe wire.pointee.mayHaveMore = wire.pointee.mayHaveMore || !isFresh
                    break
                }
                asked = true
                let received = fill(channel, large: end - at > BufferPool.standardBytes)
                if received.count == 0 {
                    if received.isBlocked { break }
                    if let code = received.failure {
                        failure = .socket(code)
                        return received
                    }
                    unsafe wire.pointee.hasEnded = true
                    unsafe wire.pointee.isTruncated = true
                    return .endOfStream
                }
            }
            var count = 0
            // SAFETY: `at..<end` is in the buffer.
            if unsafe SSL_read_ex(ssl, buffer.address + at, end - at, &count) == 1 {
                at += count
                continue
            }
            switch whatItWants() {
            case SSL_READING: continue
            case SSL_WRITING where unsafe wire.pointee.hasOutput:
                // An answer to the peer finds no room until the kernel takes what is there.
                switch flush(channel) {
                case .done: continue
                case .blocked: return at > start ? .bytes(at - start) : .wouldBlock
                case .failed: return at > start ? .bytes(at - start) : .failed(Self.protocolError)
                }
            default:
                if unsafe SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0, ERR_peek_error() == 0 {
                    unsafe wire.pointee.hasEnded = true
                    unsafe wire.pointee.mayHaveMore = false
                    unsafe wire.pointee.dropInput()
                    return at > start ? .bytes(at - start) : .endOfStream
                }
                _ = fail(channel)
                return .failed(Self.protocolError)
            }
        }
        if at > start { return .bytes(at - start) }
        // Nothing to answer to: what waited for a companion leaves alone.
        if unsafe wire.pointee.hasOutput && !wire.pointee.isBlocked, case .failed = flush(channel) {
            return .failed(Self.protocolError)
        }
        return .wouldBlock
    }

    /// Encrypts `start..<end` and sends all of it at once, as far as the kernel takes it; what it leaves stays inside.
    ///
    /// - Returns: how much was taken from the caller. Less than all, or "would block": the kernel refused; ``flush(_:)`` when
    ///   the channel is writable, then send the rest. All may be taken and some of it be ``hasUnsent``.
    public func send(_ channel: Channel, _ buffer: Buffer, _ start: Int, _ end: Int) -> IOResult {
        precondition(0 <= start && start < end && end <= buffer.capacity && !isFree)
        guard failure == nil else { return .failed(Self.protocolError) }
        unsafe engine.select(wire)
        // SAFETY: the range is in the buffer.
        return unsafe encrypt(channel, buffer.address + start, end - start, alreadyTaken: 0)
    }

    /// Sends two ranges in order, as if they were one: a head and the beginning of its body share a record.
    public func send(
        _ channel: Channel, _ a: Buffer, _ aStart: Int, _ aEnd: Int, then b: Buffer, _ bStart: Int, _ bEnd: Int
    ) -> IOResult {
        precondition(0 <= aStart && aStart < aEnd && aEnd <= a.capacity && !isFree)
        precondition(0 <= bStart && bStart < bEnd && bEnd <= b.capacity)
        guard failure == nil else { return .failed(Self.protocolError) }
        let (aCount, bCount) = (aEnd - aStart, bEnd - bStart)
        guard aCount < Self.recordBytes else {
            let first = send(channel, a, aStart, aEnd)
            guard first.count == aCount, !hasUnsent else { return first }
            let second = send(channel, b, bStart, bEnd)
            return second.failure == nil ? .bytes(aCount + second.count) : second
        }
        unsafe engine.select(wire)
        if let refused = clear(channel) { return refused }
        let joined = min(bCount, Self.recordBytes - aCount)
        let first = aCount + joined
        if room(for: first) < first {
            switch flush(channel) {
            case .done: break
            case .blocked: return .wouldBlock
            case .failed: return .failed(failure?.errno ?? Self.protocolError)
            }
        }
        unsafe wire.pointee.prepareOutput(Self.ciphertextBytes(aCount + bCount))
        // The first record is put together at the end of the output buffer; OpenSSL has encrypted it to a place of
        // its own before it writes in front.
        guard let output = unsafe wire.pointee.output else { return .wouldBlock }
        let scratch = unsafe output.address + (output.capacity - aCount - joined)
        // SAFETY: both ranges are in their buffers; behind `outputEnd` there is room for a record and more.
        unsafe scratch.copyMemory(from: a.address + aStart, byteCount: aCount)
        unsafe (scratch + aCount).copyMemory(from: b.address + bStart, byteCount: joined)
        guard unsafe write(scratch, first) else { return failedWrite(channel) }
        if joined == bCount { return finishSend(channel, first) }
        return unsafe encrypt(channel, b.address + bStart + joined, bCount - joined, alreadyTaken: first)
    }

    /// The largest record's content. RFC 8446 §5.1
    private static let recordBytes = 16384
    /// More than a record costs beside its content: header, nonce, tag, and with CBC a padding and an empty record before.
    private static let recordOverhead = 160

    private static func ciphertextBytes(_ count: Int) -> Int {
        count + (count / recordBytes + 1) * recordOverhead
    }

    /// What fits into one large buffer, in whole records.
    private static let chunkBytes =
        (BufferPool.largeBytes - recordOverhead) / (recordBytes + recordOverhead) * recordBytes

    /// EPROTO.
    private static let protocolError: CInt = 71

    /// Encrypts and sends chunk by chunk until all is taken or the kernel refuses. `alreadyTaken` bytes were encrypted
    /// before and count as taken.
    ///
    /// SAFETY: `count` bytes are at `bytes`.
    private func encrypt(
        _ channel: Channel, _ bytes: UnsafeRawPointer, _ count: Int, alreadyTaken: Int
    ) -> IOResult {
        if alreadyTaken == 0, let refused = clear(channel) { return refused }
        var taken = 0
        while taken < count {
            let room = room(for: count - taken)
            if room > 0 {
                guard unsafe write(bytes + taken, room) else { return failedWrite(channel) }
                taken += room
            }
            guard taken < count else { break }
            switch flush(channel) {
            case .done: continue
            case .blocked: return .bytes(alreadyTaken + taken)
            case .failed: return .failed(failure?.errno ?? Self.protocolError)
            }
        }
        return finishSend(channel, alreadyTaken + taken)
    }

    /// How much of `count` bytes can be encrypted into the output now; 0 where it must be flushed before.
    private func room(for count: Int) -> Int {
        let chunk = min(count, Self.chunkBytes)
        unsafe wire.pointee.prepareOutput(Self.ciphertextBytes(chunk))
        guard let output = unsafe wire.pointee.output else { return 0 }
        let free = unsafe output.capacity - wire.pointee.outputEnd
        if Self.ciphertextBytes(chunk) <= free { return chunk }
        return free / (Self.recordBytes + Self.recordOverhead) * Self.recordBytes
    }

    /// Before new bytes: what was left before must be gone, unless it only waited for company.
    private func clear(_ channel: Channel) -> IOResult? {
        guard unsafe wire.pointee.isBlocked else { return nil }
        switch flush(channel) {
        case .done: return nil
        case .blocked: return .wouldBlock
        case .failed: return .failed(failure?.errno ?? Self.protocolError)
        }
    }

    private func finishSend(_ channel: Channel, _ count: Int) -> IOResult {
        if case .failed = flush(channel) { return .failed(failure?.errno ?? Self.protocolError) }
        return .bytes(count)
    }

    /// SAFETY: `count` bytes are at `bytes`, and their ciphertext fits into the output.
    private func write(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        var written = 0
        return unsafe SSL_write_ex(ssl, bytes, count, &written) == 1 && written == count
    }

    private func failedWrite(_ channel: Channel) -> IOResult {
        _ = fail(channel)
        return .failed(Self.protocolError)
    }

    public enum FlushResult {
        case done
        /// The rest is kept until the channel is writable.
        case blocked
        case failed
    }

    /// Whether the kernel refused ciphertext: ``flush(_:)`` when the channel is writable.
    public var hasUnsent: Bool { unsafe wire.pointee.isBlocked }

    /// Sends what is left.
    public func flush(_ channel: Channel) -> FlushResult {
        while unsafe wire.pointee.hasOutput {
            guard let buffer = unsafe wire.pointee.output else { break }
            let (start, end) = unsafe (wire.pointee.outputStart, wire.pointee.outputEnd)
            let sent = channel.send(buffer, start, end)
            if let code = sent.failure {
                failure = .socket(code)
                unsafe wire.pointee.dropOutput()
                unsafe wire.pointee.isBlocked = false
                return .failed
            }
            unsafe wire.pointee.outputStart = start + sent.count
            if start + sent.count < end {
                unsafe wire.pointee.isBlocked = true
                // A short count is the kernel's refusal; only "would block" itself makes the next event an edge.
                if sent.isBlocked { return .blocked }
            }
        }
        unsafe wire.pointee.isBlocked = false
        unsafe wire.pointee.dropOutput()
        return .done
    }

    /// Whether bytes are at hand that no event will announce: decrypted, received, or left in the kernel by a full receive.
    public var mayHaveMore: Bool {
        unsafe wire.pointee.hasInput || wire.pointee.mayHaveMore || ssl != nil && SSL_pending(ssl) > 0
    }

    /// The stream's end came as a bare FIN: the peer did not say that this is all (RFC 8446 §6.1).
    public var isTruncated: Bool { unsafe wire.pointee.isTruncated }

    /// Says that nothing more is sent, as far as the kernel takes it at once. Does nothing within a handshake or after a failure.
    public func sendCloseNotify(_ channel: Channel) {
        guard !isFree, failure == nil, unsafe wire.pointee.isEstablished else { return }
        unsafe engine.select(wire)
        if unsafe SSL_shutdown(ssl) < 0 { ERR_clear_error() }
        _ = flush(channel)
    }

    // MARK: Underneath

    /// After a call that got nowhere: SSL_READING, SSL_WRITING, or SSL_NOTHING for an end or a failure. An error in
    /// the queue comes first, since OpenSSL leaves SSL_READING behind where a message does not arrive whole.
    private func whatItWants() -> CInt {
        guard ERR_peek_error() == 0 else { return SSL_NOTHING }
        let want = unsafe SSL_want(ssl)
        return want == SSL_READING || want == SSL_WRITING ? want : SSL_NOTHING
    }

    /// One receive of ciphertext into the empty input buffer.
    private func fill(_ channel: Channel, large: Bool) -> IOResult {
        let loop = engine.loop
        let buffer: Buffer
        if let kept = unsafe wire.pointee.input, kept.capacity == BufferPool.largeBytes || !large {
            buffer = kept
        } else {
            unsafe wire.pointee.dropInput()
            buffer = large ? loop.takeLargeBuffer() : loop.takeStandardBuffer()
            unsafe wire.pointee.input = buffer
        }
        let received = channel.receive(into: buffer, 0, buffer.capacity)
        unsafe wire.pointee.inputStart = 0
        unsafe wire.pointee.inputEnd = received.count
        unsafe wire.pointee.mayHaveMore = received.count == buffer.capacity
        if received.count > 0 { unsafe wire.pointee.receives += 1 } else { unsafe wire.pointee.dropInput() }
        return received
    }

    /// Remembers why OpenSSL refused to go on, and lets its alert out.
    private func fail(_ channel: Channel) -> TLSFailure {
        guard let ssl = unsafe ssl else { return fail(TLSFailure(.noMemory)) }
        var found = unsafe TLSFailure.takeFromQueue(ssl, isAnswered: wire.pointee.hasOutput)
        if found.reason == .notTLS, beginsLikeARequest { found = TLSFailure(.plainHTTP) }
        if found.reason != .plainHTTP { _ = flush(channel) }
        return fail(found)
    }

    /// Whether what came begins with a method, of which OpenSSL knows only a few, or with HTTP/2's preface. Not told of
    /// one that comes in pieces.
    private var beginsLikeARequest: Bool {
        guard unsafe wire.pointee.receives == 1, let buffer = unsafe wire.pointee.input else { return false }
        let bytes = buffer.bytes(0, unsafe wire.pointee.inputEnd)
        var count = 0
        while count < bytes.count, (0x41...0x5A).contains(bytes[count]) { count += 1 }
        return count >= 3 && count < bytes.count && bytes[count] == 0x20
    }

    private func fail(_ found: TLSFailure) -> TLSFailure {
        failure = found
        ERR_clear_error()
        unsafe wire.pointee.dropInput()
        unsafe wire.pointee.dropOutput()
        unsafe wire.pointee.isBlocked = false
        return found
    }
}

@available(*, unavailable)
extension TLSSession: Sendable {}
