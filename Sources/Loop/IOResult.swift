import PoisePlatform

/// What a receive or send came to. One word: a count, 0 for the end of the stream, or a negated errno.
@frozen public struct IOResult: Sendable, Hashable {
    @usableFromInline let raw: Int

    @inlinable init(raw: Int) { self.raw = raw }

    public static let endOfStream = IOResult(raw: 0)
    public static let wouldBlock = IOResult(raw: -Int(Errno.again))
    public static func failed(_ code: CInt) -> IOResult { IOResult(raw: -Int(code)) }
    public static func bytes(_ count: Int) -> IOResult { IOResult(raw: count) }

    /// 0 unless bytes were moved.
    @inlinable public var count: Int { max(raw, 0) }
    @inlinable public var isEndOfStream: Bool { raw == 0 }
    @inlinable public var isBlocked: Bool { raw == -11 }
    /// The errno of a failure that ends the connection; `nil` for bytes, end of stream and "would block".
    @inlinable public var failure: CInt? { raw < 0 && raw != -11 ? CInt(-raw) : nil }
}

/// What a descriptor is ready for.
@frozen public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The values are epoll's own, so that nothing is translated per event.
    public static let readable = Readiness(rawValue: 0x001)
    public static let writable = Readiness(rawValue: 0x004)
    public static let failed = Readiness(rawValue: 0x008)
    /// Both directions are closed.
    public static let hungUp = Readiness(rawValue: 0x010)
    /// The peer has sent its last byte.
    public static let peerClosed = Readiness(rawValue: 0x2000)
    static let edgeTriggered = Readiness(rawValue: 1 << 31)
}
