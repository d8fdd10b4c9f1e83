/// A frame of HTTP/2, RFC 9113 §4.1, as a script reads and writes it.
struct Frame {
    enum Kind: UInt8 {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
    }

    /// SETTINGS that scripts use. RFC 9113 §6.5.2
    enum Setting: Int { case tableSize = 1, push, streamsMax, initialWindow, frameMax, listMax }

    /// RFC 9113 §7
    enum Code: Int {
        case none, protocolError, internalError, flowControl, settingsTimeout, streamClosed, frameSize, refused, cancel
        case compression, connect, calm
    }

    static let endStream: UInt8 = 1
    static let acknowledgement: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let padded: UInt8 = 8
    static let hasPriority: UInt8 = 32

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    let kind: Kind
    let flags: UInt8
    let stream: Int
    let payload: ArraySlice<UInt8>

    var ends: Bool { flags & Self.endStream != 0 }

    /// 4 bytes of the payload.
    func word(_ offset: Int) -> Int { Self.word(payload, payload.startIndex + offset) }

    static func word(_ bytes: ArraySlice<UInt8>, _ index: Int) -> Int {
        bytes[index..<index + 4].reduce(0) { $0 << 8 | Int($1) }
    }

    static func bytes(_ word: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }

    static func header(_ kind: Kind, flags: UInt8, stream: Int, count: Int) -> [UInt8] {
        Array(bytes(count)[1...]) + [kind.rawValue, flags] + bytes(stream)
    }

    static func write(_ kind: Kind, flags: UInt8 = 0, stream: Int = 0, _ payload: [UInt8]) -> [UInt8] {
        header(kind, flags: flags, stream: stream, count: payload.count) + payload
    }

    static func settings(_ entries: [(Setting, Int)]) -> [UInt8] {
        write(.settings, entries.flatMap { [0, UInt8($0.0.rawValue)] + bytes($0.1) })
    }
}

/// Cuts what comes from Poise into frames.
struct FrameReader {
    enum Next {
        case frame(Frame)
        case faulty(String)
    }

    private var bytes: [UInt8] = []
    private var position = 0
    /// SETTINGS_MAX_FRAME_SIZE as Poise has acknowledged it.
    var lengthMax = 16_384

    mutating func feed(_ more: [UInt8]) {
        bytes = position == bytes.count ? more : bytes[position...] + more
        position = 0
    }

    /// Not a frame: what a client begins with.
    mutating func take(_ count: Int) -> [UInt8]? {
        guard bytes.count - position >= count else { return nil }
        position += count
        return Array(bytes[position - count..<position])
    }

    /// `nil`: more bytes are needed.
    mutating func next() -> Next? {
        guard bytes.count - position >= 9 else { return nil }
        let length = Frame.word(bytes[...], position) >> 8
        guard length <= lengthMax else { return .faulty("a frame of \(length) bytes") }
        guard let kind = Frame.Kind(rawValue: bytes[position + 3]) else {
            return .faulty("a frame of type \(bytes[position + 3])")
        }
        guard bytes.count - position - 9 >= length else { return nil }
        let start = position + 9
        let frame = Frame(
            kind: kind, flags: bytes[position + 4], stream: Frame.word(bytes[...], position + 5),
            payload: bytes[start..<start + length])
        position = start + length
        return .frame(frame)
    }
}
