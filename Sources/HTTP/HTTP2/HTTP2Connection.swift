import PoiseBytes
import PoiseModel

/// What our side of a connection announces and holds to.
public struct HTTP2LocalSettings: Sendable, Equatable {
    /// Streams that the peer may have open, and that we open at most. 1...10,000
    public var streamsMax = 100
    /// What a stream's receive window is at first, and what it may grow to. 65,535...2^31-1
    public var streamWindowBytes = 65_535
    public var streamWindowBytesMax = 256 * 1024
    /// What all streams of the connection may hold unread. 65,535...2^31-1
    public var windowBytesMax = 1 << 20
    /// Of a head, as RFC 9113 §6.5.2 counts it.
    public var headListBytesMax = 32 * 1024
    /// Fields of a head, without pseudo-fields; cookie crumbs count by their bytes only.
    public var fieldCountMax = 100

    public init() {}
}

/// One HTTP/2 connection, as server or as client: bytes and calls in, events and bytes out. RFC 9113, RFC 7541
///
/// The owner hands it what it read, takes the events one by one, and indexes its own streams by the slot that they name.
/// A slot belongs to the owner from the event (or the call) that opened the stream until `release`: no number is used
/// again before that. What the machine answers by itself, at most ``replyBytesMax`` per call, it appends to the `sink`.
///
/// Invariants, whatever the peer sends:
/// 1. After `.refusedConnection` there are no further events, and nothing is sent.
/// 2. The sum of `.data` ranges that were not consumed is at most `windowBytesMax`.
/// 3. `.data` of a stream adds up to its Content-Length where it has one; else the stream failed.
/// 4. Both HPACK tables agree with the peer's after each event.
///
/// Not copyable, as one owner changes it in place: a copy of its tables by accident would cost more than a request.
public struct HTTP2Connection: ~Copyable, Sendable {
    public enum Role: UInt8, Sendable { case server, client }

    /// What came. Text of heads is in ``HTTP2Workspace/headText`` until the next call.
    public enum Event: Sendable, Equatable {
        /// All whole frames were read. Keep what was not: with at least ``inputBytesMin`` bytes the machine goes on.
        case needMore
        /// Something to send was appended, and nothing else happened.
        case replied
        /// A request opened this slot, or an answer's head came (one of 1xx, then more will come).
        case head(slot: Int, endStream: Bool)
        /// Trailers, and with them the end.
        case trailers(slot: Int)
        /// A piece of content in the bytes that were given; empty only at the end.
        case data(slot: Int, ByteRange, endStream: Bool)
        /// A request's head is larger than is allowed, and is not there: answer 431. The slot is open like any other.
        case headTooLarge(slot: Int, endStream: Bool, HTTP2Fault)
        /// The peer reset the stream: release the slot. `.refusedStream` also for what a GOAWAY says was not processed:
        /// it may be sent again.
        case streamReset(slot: Int, HTTP2ErrorCode)
        /// The peer broke a rule; the stream was reset: release the slot.
        case streamFailed(slot: Int, HTTP2ErrorCode, HTTP2Fault)
        /// A stream was refused before it got a slot: one to count.
        case streamRefused(HTTP2ErrorCode, HTTP2Fault)
        /// There may be more room to send: on this stream, or (nil) on all.
        case writable(slot: Int?)
        /// The peer's settings came: its number of streams may have changed, and the room of all streams.
        case settingsChanged
        /// The peer takes no new streams. Those above `lastStream` are reported as reset one by one.
        case goAway(lastStream: UInt32, HTTP2ErrorCode)
        case pingAcknowledged(UInt64)
        /// The client wants its answer sooner or later than it said.
        case priorityChanged(slot: Int)
        /// GOAWAY is appended: send what there is and close. All slots are void.
        case refusedConnection(HTTP2ErrorCode, HTTP2Fault)
    }

    enum Phase: UInt8, Sendable {
        case preface, frame
        /// Content of a DATA frame, then its padding.
        case data
        /// The rest of a frame that means nothing.
        case skip
        case settings
        /// The rest of a HEADERS or CONTINUATION frame, into `block`.
        case fragment
        case failed
    }

    /// The most that one call of ``next`` or ``consumed(slot:_:workspace:to:)`` and all calls without text append.
    public static var replyBytesMax: Int { 128 }
    /// What a caller's buffer must be able to hold.
    public static var inputBytesMin: Int { 128 }
    /// The most that sending a head or trailers of `textBytes` appends.
    @inlinable public static func headBytesMax(_ textBytes: Int) -> Int {
        textBytes + textBytes / 64 + 256 + 9 * (textBytes / 16_384)
    }

    public let role: Role
    public let settings: HTTP2LocalSettings

    // Reading.
    var phase: Phase
    /// Of the client's preface.
    var prefaceRead = 0
    /// Of the current frame, without padding.
    var payloadLeft = 0
    var paddingLeft = 0
    var frameSlot = 0
    var frameStream: UInt32 = 0
    var frameEndsStream = false
    var sawSettings = false
    var settingsAcknowledged = false
    /// Streams that were refused before that.
    var refusedUnaware = 0

    // A header block that is coming.
    var block: [UInt8] = []
    /// The stream that CONTINUATION must be of; 0 for none.
    var blockStream: UInt32 = 0
    var blockEndsStream = false
    var blockIsNew = false
    var blockFrameEndsBlock = false

    // Streams.
    var streams: [HTTP2Stream] = []
    var firstFree = -1
    var slotsInUse = 0
    var index = HTTP2StreamIndex()
    /// Open ones, as SETTINGS_MAX_CONCURRENT_STREAMS counts them.
    public internal(set) var openStreams = 0
    /// The highest number that the peer opened.
    var lastPeerStream: UInt32 = 0
    /// What our next stream is called.
    var nextStream: UInt32
    /// Streams that we reset last: frames that were on their way mean nothing (§5.1).
    var resetStreams: [UInt32] = []
    var resetCount = 0
    /// Streams that ended as they should.
    var endedStreams = InlineArray<16, UInt32>(repeating: 0)
    var endedCount = 0

    // Flow.
    var sendWindow = 65_535
    var receiveWindow = 65_535
    /// Consumed, but not yet given back.
    var owed = 0
    /// What new windows of streams are; grows with bandwidth × delay.
    var streamWindow: Int
    var isMeasuring = false
    var measuredBytes = 0

    // The peer's settings.
    var peerStreamWindow = 65_535
    /// Of a frame's payload, at most. What a DATA frame may carry. 16,384 or more
    public internal(set) var peerFrameBytesMax = 16_384
    /// Streams that the peer lets us open.
    public internal(set) var peerStreamsMax = Int(Int32.max)
    /// What a SETTINGS frame that is half read says: it holds once it is acknowledged. -1 where it says nothing. §6.5.3
    var pendingPeerWindow = -1
    var pendingPeerFrame = -1
    var pendingPeerStreams = -1
    var pendingPeerTable = -1
    /// Of several sizes of the table, the smallest has to be told too. RFC 7541 §4.2
    var pendingPeerTableLeast = Int.max
    var settingsEntry = 0

    // Ending.
    /// The peer sent GOAWAY: it takes no new streams.
    public internal(set) var peerIsGoingAway = false
    var peerLastStream: UInt32 = 0x7FFF_FFFF
    /// The next slot to look at for streams that the peer's GOAWAY left out; -1 while there is none.
    var goAwayScan = -1
    /// Streams above this are not processed any more.
    var lastProcessed: UInt32 = 0x7FFF_FFFF
    public internal(set) var isGoingAway = false

    /// Why the connection was refused.
    var failureCode = HTTP2ErrorCode.noError
    var failure = HTTP2Fault.badPreface

    var decoder: HPACKDecoder
    var encoder: HPACKEncoder
    var budget = HTTP2Budget()

    public init(role: Role, settings: HTTP2LocalSettings) {
        precondition(settings.streamWindowBytes >= 65_535 && settings.windowBytesMax >= 65_535)
        (self.role, self.settings) = (role, settings)
        phase = role == .server ? .preface : .frame
        nextStream = role == .server ? 2 : 1
        streamWindow = settings.streamWindowBytes
        decoder = HPACKDecoder(tableBytesMax: 4096)
        encoder = HPACKEncoder(tableBytesMax: 4096)
    }

    /// No slot is in use and no frame is half read: nothing is lost when the connection ends.
    public var isIdle: Bool { slotsInUse == 0 && blockStream == 0 }

    /// What the peer has begun and owes the rest of: 0 for its preface and SETTINGS, else the stream whose head or trailers
    /// are half read. `nil`: nothing. A deadline on it is the owner's affair.
    public var awaitedHead: UInt32? { sawSettings ? blockStream == 0 ? nil : blockStream : 0 }

    /// Points that are left of the patience with the peer, 0...10,000.
    public var patience: Int { budget.points }
}

extension HTTP2Connection {
    /// Appends what a connection begins with: a client's preface, and SETTINGS. Once, before anything else.
    @inlinable
    public mutating func start(workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable) {
        begin(&workspace)
        workspace.flush(to: &sink)
    }

    /// Reads on, up to the next event.
    ///
    /// - Parameters:
    ///   - position: the first unread byte; moved over what was read.
    ///   - end: reads nothing from here on.
    ///   - now: at any resolution; only the budget looks at it.
    @inlinable
    public mutating func next(
        _ bytes: Span<UInt8>, position: inout Int, end: Int, now: MonotonicTime, workspace: inout HTTP2Workspace,
        to sink: inout some ByteSink & ~Copyable
    ) -> Event {
        let event = advance(bytes, &position, end, now, &workspace)
        workspace.flush(to: &sink)
        return event
    }

    /// Appends a head: of a request or an answer by the role, one of 1xx too.
    ///
    /// - Parameters:
    ///   - text: as HTTP/1.1 has it, up to and with the blank line. A request's target is a path, `*`, or CONNECT's.
    ///   - isHTTPS: a request's `:scheme`.
    ///   - neverIndexed: ``HTTP2Workspace/neverIndexed`` of the head that this one was made of.
    /// - Returns: false, with nothing appended, where the text has not that form or the stream is not there any more.
    @inlinable
    public mutating func sendHead(
        slot: Int, _ text: Span<UInt8>, endStream: Bool, isHTTPS: Bool = false, neverIndexed: UInt64 = 0,
        workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable
    ) -> Bool {
        let isSent = writeHead(slot, text, endStream, isHTTPS, neverIndexed, &workspace)
        workspace.flush(to: &sink)
        return isSent
    }

    /// Appends trailers, and with them the end of the stream.
    /// - Parameter text: field lines, and the blank line.
    @inlinable
    public mutating func sendTrailers(
        slot: Int, _ text: Span<UInt8>, neverIndexed: UInt64 = 0, workspace: inout HTTP2Workspace,
        to sink: inout some ByteSink & ~Copyable
    ) -> Bool {
        let isSent = writeTrailers(slot, text, neverIndexed, &workspace)
        workspace.flush(to: &sink)
        return isSent
    }

    /// Appends the 9 bytes in front of `count` bytes of content, which the caller appends behind them.
    /// - Parameter count: at most ``sendRoom(slot:)`` and ``peerFrameBytesMax``; 0 only with the end.
    @inlinable
    public mutating func sendDataHeader(
        slot: Int, count: Int, endStream: Bool, to sink: inout some ByteSink & ~Copyable
    ) {
        let (word, last) = takeDataHeader(slot, count, endStream)
        sink.append(word: word, count: 8)
        sink.append(last)
    }

    /// The owner passed on so much of the content that it was given: gives the peer room for more.
    @inlinable
    public mutating func consumed(
        slot: Int, _ count: Int, workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable
    ) {
        giveBack(slot, count, &workspace)
        workspace.flush(to: &sink)
    }

    /// Ends a stream for a reason of ours. Nothing is appended where it has ended. The slot stays its owner's.
    @inlinable
    public mutating func reset(
        slot: Int, _ code: HTTP2ErrorCode, workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable
    ) {
        writeReset(slot, code, &workspace)
        workspace.flush(to: &sink)
    }

    /// Gives a slot back, and with it what its content held of the windows. A stream that has not ended is reset: with
    /// NO_ERROR where only the request's rest is missing (§8.1), else with CANCEL.
    @inlinable
    public mutating func release(
        slot: Int, workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable
    ) {
        free(slot, &workspace)
        workspace.flush(to: &sink)
    }

    /// Takes no new streams any more. First without `final`, so that requests that are on their way are still served;
    /// a round trip later with it. §6.8
    @inlinable
    public mutating func goAway(
        final: Bool, _ code: HTTP2ErrorCode = .noError, workspace: inout HTTP2Workspace,
        to sink: inout some ByteSink & ~Copyable
    ) {
        writeGoAway(final, code, &workspace)
        workspace.flush(to: &sink)
    }

    /// Gives the connection up for a fault that the owner found: GOAWAY, and nothing more. All slots are void.
    @inlinable
    public mutating func fail(
        _ code: HTTP2ErrorCode, _ fault: HTTP2Fault, workspace: inout HTTP2Workspace,
        to sink: inout some ByteSink & ~Copyable
    ) {
        _ = refuse(code, fault, &workspace)
        workspace.flush(to: &sink)
    }

    /// Appends a PING: `.pingAcknowledged` answers it. `0x706F_6973_6542_4450` is taken.
    @inlinable
    public mutating func ping(
        _ payload: UInt64, workspace: inout HTTP2Workspace, to sink: inout some ByteSink & ~Copyable
    ) {
        writePing(payload, &workspace)
        workspace.flush(to: &sink)
    }
}

extension HTTP2Workspace {
    /// Appends the frames that the last call made.
    @inlinable mutating func flush(to sink: inout some ByteSink & ~Copyable) {
        guard outputCount > 0 else { return }
        sink.append(output.span.extracting(0..<outputCount))
        outputCount = 0
    }
}
