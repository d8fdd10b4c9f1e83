/// How the end of a message's content is found. RFC 9112 §6.3
public enum BodyFraming: Sendable, Equatable {
    /// Nothing follows the head.
    case none
    /// So many bytes follow; 0 is written as such, since a request may say `Content-Length: 0`.
    case length(Int)
    /// Chunks and a trailer section: ``ChunkedDecoder``.
    case chunked
    /// All bytes until the target closes. Answers only.
    case untilClose
}

/// How large a head may grow.
public struct HeadLimits: Sendable, Equatable {
    /// Start line and fields with the blank line, in bytes.
    public var headBytesMax: Int
    public var fieldCountMax: Int
    /// Request target in bytes; not used for answers.
    public var uriBytesMax: Int

    public init(headBytesMax: Int = 32 * 1024, fieldCountMax: Int = 100, uriBytesMax: Int = 8 * 1024) {
        self.headBytesMax = headBytesMax
        self.fieldCountMax = fieldCountMax
        self.uriBytesMax = uriBytesMax
    }
}

/// What became of a head so far.
public enum ParseResult: Sendable, Equatable {
    case complete
    /// All bytes were taken in and are fine so far.
    case needMore
    case refused(Refusal)
}
