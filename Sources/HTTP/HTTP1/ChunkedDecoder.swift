/// Reads chunked content: hands out the data as ranges and drops the framing. RFC 9112 §7.1
///
///     size --digit--> size --";"--> extension
///     size, extension --CR--> sizeEnd --LF--> data --CR LF--> size
///                                        `--(size 0)--> trailers --> done
///
/// Refused, since parsers are known to differ on them: a sign, white space or `0x` beside the size, a bare CR or LF,
/// control bytes in an extension, data that is not followed by CRLF. Extensions are dropped; their text is not
/// taken apart, as without control bytes nothing in it can be mistaken for a line end.
public struct ChunkedDecoder: Sendable {
    public enum Event: Sendable, Equatable {
        /// Content; `position` is behind it.
        case data(ByteRange)
        /// All bytes up to `end` are used, or they are part of an incomplete trailer section.
        case needMore
        /// The content is complete and `position` is behind it. Given once; further calls are our own bug.
        case end
        /// 400 for a client's content; for a target's it ends the answer.
        case refused(Refusal)
    }

    /// The trailer section, once `.end` was given. Ranges are valid in the buffer of that call. Fields that must not
    /// come as trailers have ``FieldLine/isHopByHop`` set: drop them.
    public private(set) var trailers = FieldLines()

    /// Our limit for a size line with its extension; the RFC has none.
    private static var lineBytesMax: Int { 256 }
    /// How many bytes of framing beyond twice the content (and 16 per chunk) are put up with: stops a peer that sends
    /// one byte per chunk with a long extension each.
    private static var overheadBytesMax: Int { 16 * 1024 }
    /// 2^48 - 1: twelve digits. No content is so long, and sums of it never overflow.
    private static var sizeDigitsMax: Int { 12 }

    private enum Phase: UInt8 { case size, lineExtension, sizeEnd, data, dataCR, dataLF, trailers, done }

    private var phase = Phase.size
    /// Bytes that are missing of the current chunk; while its size is read, the size so far.
    private var remaining = 0
    /// Bytes of the current size line so far.
    private var lineBytes = 0
    private var digits = 0
    private var overhead = 0
    private let trailerBytesMax: Int
    /// Where the trailer section began in the last call, and how far it was read.
    private var trailerStart = 0
    private var trailerCursor = 0
    private var section = FieldSection()

    public init(trailerBytesMax: Int = 8192) { self.trailerBytesMax = trailerBytesMax }

    /// Makes ready for the next message; keeps the storage.
    public mutating func reset() {
        var fresh = ChunkedDecoder(trailerBytesMax: trailerBytesMax)
        swap(&fresh.trailers, &trailers)
        fresh.trailers.removeAll()
        self = fresh
    }

    /// Whether `.end` was given.
    public var isComplete: Bool { phase == .done }

    /// The next event.
    ///
    /// A trailer section is taken as a whole: as long as it is incomplete, `position` stays at its start, and the next
    /// call finds the same bytes at `position` again (the buffer may have been moved meanwhile).
    ///
    /// - Parameters:
    ///   - position: the first unused byte; advanced over what was used.
    ///   - end: nothing is read from here on.
    public mutating func next(_ bytes: Span<UInt8>, position: inout Int, end: Int) -> Event {
        while position < end {
            let byte = bytes[position]
            switch phase {
            case .size, .lineExtension, .sizeEnd:
                if let reason = readSizeLine(byte) { return .refused(Refusal(reason)) }
                position += 1
            case .data:
                let data = ByteRange(start: position, count: min(remaining, end - position))
                remaining -= data.count
                position = data.end
                if remaining == 0 { phase = .dataCR }
                return .data(data)
            case .dataCR:
                guard byte == ASCII.carriageReturn else { return .refused(Refusal(.badChunkEnd)) }
                position += 1
                phase = .dataLF
            case .dataLF:
                guard byte == ASCII.lineFeed else { return .refused(Refusal(.badChunkEnd)) }
                position += 1
                phase = .size
            case .trailers:
                return readTrailers(bytes, position: &position, end: end)
            case .done:
                return .end
            }
        }
        return phase == .done ? .end : .needMore
    }

    private mutating func readSizeLine(_ byte: UInt8) -> Refusal.Reason? {
        lineBytes += 1
        if lineBytes > Self.lineBytesMax { return .chunkLineTooLong }
        switch phase {
        case .size:
            if let digit = hexadecimalDigit(byte) {
                // Leading zeros count: they are of no use to anyone honest beyond a fixed width.
                digits += 1
                if digits > 16 { return .chunkTooLarge }
                guard remaining < 1 << (4 * (Self.sizeDigitsMax - 1)) else { return .chunkTooLarge }
                remaining = remaining << 4 | digit
                return nil
            }
            guard digits > 0 else { return .init(unexpected: byte, otherwise: .badChunkSize) }
            if byte == ASCII.semicolon {
                phase = .lineExtension
                return nil
            }
        case .lineExtension:
            if isFieldValueByte(byte) { return nil }
        default:
            guard byte == ASCII.lineFeed else { return .bareCR }
            return endSizeLine()
        }
        guard byte == ASCII.carriageReturn else { return .init(unexpected: byte, otherwise: .badChunkSize) }
        phase = .sizeEnd
        return nil
    }

    private mutating func endSizeLine() -> Refusal.Reason? {
        overhead = max(0, overhead + lineBytes + 2 - 16 - 2 * remaining)
        if overhead > Self.overheadBytesMax { return .chunkOverhead }
        phase = remaining == 0 ? .trailers : .data
        (lineBytes, digits) = (0, 0)
        return nil
    }

    private mutating func readTrailers(_ bytes: Span<UInt8>, position: inout Int, end: Int) -> Event {
        if trailerCursor == 0 {
            (trailerStart, trailerCursor) = (position, position)
        } else if trailerStart != position {
            let distance = position - trailerStart
            section.shift(by: distance)
            trailers.shift(by: distance)
            trailerCursor += distance
            trailerStart = position
        }
        let limit = trailerStart + trailerBytesMax
        let outcome = section.parse(
            bytes, cursor: &trailerCursor, end: min(end, limit), countMax: 100, into: &trailers)
        switch outcome {
        case .ranOut:
            return trailerCursor >= limit ? .refused(Refusal(.trailersTooLarge)) : .needMore
        case .refused(let reason):
            return .refused(Refusal(reason))
        case .complete:
            for index in trailers.indices where trailers[index].id.isForbiddenInTrailers {
                trailers.markHopByHop(at: index)
            }
            position = trailerCursor
            phase = .done
            return .end
        }
    }
}
