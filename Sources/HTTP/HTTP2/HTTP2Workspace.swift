import PoiseBytes
import PoiseModel

/// What HTTP/2 connections of one thread share, one after the other: constant tables, the head that was read last, and
/// the frames that the last call made. A connection keeps nothing in here between two calls.
public struct HTTP2Workspace: ~Copyable, Sendable {
    let tables = HPACKTables()
    var head = HTTP2HeadBuilder()
    /// Where the encoder makes a line of lower case.
    var line = [UInt8](repeating: 0, count: 512)
    /// Frames to append to what is sent.
    @usableFromInline var output = [UInt8](repeating: 0, count: 1024)
    @usableFromInline var outputCount = 0

    /// Allocates about 40 KiB.
    public init() {}

    /// The head or the trailers of the last ``HTTP2Connection/Event/head(slot:endStream:)`` or
    /// ``HTTP2Connection/Event/trailers(slot:)``, until the next call: what HTTP/1.1 would have sent, up to and with the
    /// blank line; of trailers the field lines alone, and the blank line.
    ///
    ///     GET /path HTTP/1.1          HTTP/1.1 200
    ///     Host: shop.test             content-type: text/plain
    ///     accept: */*
    public var headText: Span<UInt8> {
        @_lifetime(borrow self) get { head.text.span.extracting(head.textStart..<head.textEnd) }
    }

    /// Bytes of ``headText``.
    public var headTextCount: Int { head.textEnd - head.textStart }

    /// Appends ``headText``: for owners that keep the workspace where a span of it cannot leave.
    @inlinable public func appendHeadText(to sink: inout some ByteSink & ~Copyable) { sink.append(headText) }

    /// Names of fields in ``headText`` that must not be indexed on the next hop either, as one bit each: to be passed to
    /// ``HTTP2Connection/sendHead``. RFC 7541 §7.1.3
    public var neverIndexed: UInt64 { head.neverIndexed }

    /// The target wants an authority of `https`, as `:scheme` says.
    public var isHTTPS: Bool { head.isHTTPS }

    // The frames that the machine itself sends are small, and made of words.

    mutating func ensureOutput(_ count: Int) {
        output.ensure(outputCount + count)
    }

    mutating func put(_ byte: UInt8) {
        output[outputCount] = byte
        outputCount &+= 1
    }

    mutating func put<Word: FixedWidthInteger & BitwiseCopyable>(bigEndian word: Word) {
        let position = outputCount
        output.store(word.byteSwapped, at: position)
        outputCount &+= Word.bitWidth / 8
    }

    mutating func putFrameHeader(_ type: HTTP2FrameType, flags: UInt8, stream: UInt32, payload: Int) {
        ensureOutput(payload + 9)
        let frame = HTTP2FrameHeader(type: type, flags: flags, stream: stream, payload: payload)
        put(bigEndian: frame.word)
        put(UInt8(truncatingIfNeeded: stream))
    }
}

/// What never changes: made once for each thread, so that looking something up asks nobody whether it is made yet.
struct HPACKTables: Sendable {
    let huffman = HuffmanCode()
    let statics = HPACKStaticTable()
    /// By `FieldID`.
    let policies = (0..<64).map { FieldID(rawValue: $0).map(HPACKPolicy.init) ?? .whenRepeated }
}
