import PoiseBytes

/// Frame types. RFC 9113 §6, RFC 9218 §7.1
struct HTTP2FrameType: Sendable, Hashable {
    let number: UInt8

    static var data: Self { Self(number: 0) }
    static var headers: Self { Self(number: 1) }
    static var priority: Self { Self(number: 2) }
    static var reset: Self { Self(number: 3) }
    static var settings: Self { Self(number: 4) }
    static var pushPromise: Self { Self(number: 5) }
    static var ping: Self { Self(number: 6) }
    static var goAway: Self { Self(number: 7) }
    static var windowUpdate: Self { Self(number: 8) }
    static var continuation: Self { Self(number: 9) }
    static var priorityUpdate: Self { Self(number: 16) }
}

/// The 9 bytes that every frame begins with. RFC 9113 §4.1
struct HTTP2FrameHeader {
    /// All but the last byte of the stream's number, the length on top.
    let word: UInt64
    let stream: UInt32

    static var byteCount: Int { 9 }

    // Flags; END_STREAM and ACK are the same bit.
    static var endStream: UInt8 { 0x1 }
    static var acknowledgement: UInt8 { 0x1 }
    static var endHeaders: UInt8 { 0x4 }
    static var padded: UInt8 { 0x8 }
    static var hasPriority: UInt8 { 0x20 }

    /// Reads 9 bytes.
    @inline(__always) init(_ bytes: Span<UInt8>, at position: Int) {
        word = bytes.word(at: position).byteSwapped
        // The reserved bit is ignored.
        stream =
            (UInt32(truncatingIfNeeded: word) &<< 8 | UInt32(truncatingIfNeeded: bytes[position &+ 8])) & 0x7FFF_FFFF
    }

    @inline(__always) init(type: HTTP2FrameType, flags: UInt8, stream: UInt32, payload: Int) {
        word =
            UInt64(truncatingIfNeeded: payload) &<< 40 | UInt64(type.number) &<< 32 | UInt64(flags) &<< 24
            | UInt64(stream) &>> 8
        self.stream = stream
    }

    @inline(__always) var length: Int { Int(truncatingIfNeeded: word &>> 40) }
    @inline(__always) var type: HTTP2FrameType { HTTP2FrameType(number: UInt8(truncatingIfNeeded: word &>> 32)) }
    @inline(__always) var flags: UInt8 { UInt8(truncatingIfNeeded: word &>> 24) }
}

extension Span<UInt8> {
    /// Four bytes as one number, the first one highest, as frames have them.
    @inline(__always) func bigEndian32(at position: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: word(at: position, count: 4)).byteSwapped
    }
}
