import PoiseBytes

/// The byte machine of a request head. Every phase can stop at any byte and go on with the next one.
///
///     begin --CR--> emptyLine --LF--> begin        (twice at most)
///     begin --tchar--> method --SP--> target --SP--> version --CRLF--> fields --CRLF--> complete
extension RequestHead {
    /// RFC 9112 §2.2 asks to ignore at least one empty line before a request. A second one is what a client makes
    /// that ends a body with CRLF and begins the next request with CRLF; more is not HTTP, only a slow drip.
    private static var emptyLinesMax: Int { 2 }
    /// Longer than every registered method; beyond it the bytes are not HTTP.
    private static var methodBytesMax: Int { 32 }

    /// - Returns: the reason to refuse, or nil. Sets `headEnd` at the end of the head.
    mutating func step(_ bytes: Span<UInt8>, _ limits: HeadLimits) -> Refusal.Reason? {
        while true {
            let limit = headStart + limits.headBytesMax
            let end = min(bytes.count, limit)
            // Here and not later, so that a reader whose buffer is as large as the limit never waits with a full one.
            if cursor >= limit { return phase == .target ? .uriTooLong : .headTooLarge }
            guard cursor < end else { return nil }
            let fault: Refusal.Reason?
            switch phase {
            case .begin: fault = readPlainLine(bytes, end, limits.uriBytesMax) ? nil : begin(bytes[cursor])
            case .emptyLine: fault = endEmptyLine(bytes[cursor])
            case .method: fault = readMethod(bytes, end)
            case .target: fault = readTarget(bytes, end, limits.uriBytesMax)
            case .version: fault = readVersion(bytes, end)
            case .fields:
                switch section.parse(
                    bytes, cursor: &cursor, end: end, countMax: limits.fieldCountMax, into: &fields)
                {
                case .ranOut: fault = nil
                case .refused(let reason): fault = reason
                case .complete:
                    if let reason = interpretFields(bytes) { return reason }
                    beginsPlainly = hasPlainLine && fields.beginPlainlyWithHost(bytes)
                    headEnd = cursor
                    return nil
                }
            }
            if let fault { return fault }
        }
    }

    /// Takes a request line that is there as a whole in the form nearly all have: a known method, a path that begins
    /// with `/` and has no escapes, maybe a query, `HTTP/1.1` CR LF. Everything else is left to the byte machine, which
    /// would give the same result for these: this is only what it costs less in one go.
    ///
    /// - Returns: false, with nothing changed, for every other line.
    private mutating func readPlainLine(_ bytes: Span<UInt8>, _ end: Int, _ uriBytesMax: Int) -> Bool {
        let start = cursor
        guard start &+ 8 <= end, let known = HTTPMethod(start: bytes.word(at: start)), known != .connect
        else { return false }
        let targetStart = start &+ known.byteCount &+ 1
        guard targetStart < end, bytes[targetStart] == ASCII.slash else { return false }
        let pathEnd = bytes.endOfPlainTarget(from: targetStart, to: end)
        var targetEnd = pathEnd
        if pathEnd < end, bytes[pathEnd] == ASCII.questionMark {
            repeat {
                targetEnd = bytes.endOfPlainTarget(from: targetEnd &+ 1, to: end)
            } while targetEnd < end && (bytes[targetEnd] == ASCII.questionMark || bytes[targetEnd] == ASCII.percent)
        }
        guard targetEnd &+ 11 <= end, bytes[targetEnd] == ASCII.space, targetEnd &- targetStart <= uriBytesMax,
            bytes.word(at: targetEnd &+ 1) == HTTPVersion.http11Word,
            bytes.pair(at: targetEnd &+ 9) == ASCII.lineEnd
        else { return false }
        (headStart, mark, cursor) = (start, targetEnd &+ 1, targetEnd &+ 11)
        method = known
        methodRange = ByteRange(from: start, to: targetStart &- 1)
        target = ByteRange(from: targetStart, to: targetEnd)
        path = ByteRange(from: targetStart, to: pathEnd)
        if pathEnd < targetEnd {
            hasQuery = true
            query = ByteRange(from: pathEnd &+ 1, to: targetEnd)
        }
        hasPlainLine = true
        phase = .fields
        return true
    }

    private mutating func begin(_ byte: UInt8) -> Refusal.Reason? {
        if byte == ASCII.carriageReturn {
            if emptyLines == Self.emptyLinesMax { return .badRequestLine }
            emptyLines += 1
            cursor += 1
            phase = .emptyLine
            return nil
        }
        // The record type of a TLS handshake: a client that speaks HTTPS to a plain port.
        if byte == 0x16 { return .tlsClientHello }
        guard ByteClass.token.contains(byte) else { return .init(unexpected: byte, otherwise: .badMethod) }
        headStart = cursor
        mark = cursor
        phase = .method
        return nil
    }

    private mutating func endEmptyLine(_ byte: UInt8) -> Refusal.Reason? {
        guard byte == ASCII.lineFeed else { return .bareCR }
        cursor += 1
        headStart = cursor
        phase = .begin
        return nil
    }

    private mutating func readMethod(_ bytes: Span<UInt8>, _ end: Int) -> Refusal.Reason? {
        let longest = mark + Self.methodBytesMax
        cursor = endOfToken(bytes, from: cursor, to: min(end, longest))
        guard cursor < end else { return nil }
        let byte = bytes[cursor]
        guard byte == ASCII.space else { return .init(unexpected: byte, otherwise: .badMethod) }
        methodRange = ByteRange(from: mark, to: cursor)
        method = methodRange.count <= 7 ? HTTPMethod(word: bytes.word(at: mark, count: methodRange.count)) : .other
        cursor += 1
        mark = cursor
        phase = .target
        return nil
    }

    private mutating func readTarget(_ bytes: Span<UInt8>, _ end: Int, _ bytesMax: Int) -> Refusal.Reason? {
        var position = cursor
        defer { cursor = position }
        while true {
            let stop = min(end, mark + bytesMax)
            if position < stop { position = bytes.endOfPlainTarget(from: position, to: stop) }
            guard position < end else { return nil }
            let byte = bytes[position]
            switch byte {
            case ASCII.space:
                guard position > mark else { return .badRequestLine }
                target = ByteRange(from: mark, to: position)
                position += 1
                mark = position
                phase = .version
                return nil
            case ASCII.numberSign: return .fragment
            case ASCII.carriageReturn, ASCII.lineFeed:
                // A line without a version is HTTP/0.9; without a target it is nothing.
                return position > mark ? .http09 : .badRequestLine
            default: break
            }
            let isTargetByte =
                byte == ASCII.questionMark || byte == ASCII.percent || ByteClass.target.contains(byte)
            guard isTargetByte else { return .init(unexpected: byte, otherwise: .badTarget) }
            if position - mark >= bytesMax { return .uriTooLong }
            if byte == ASCII.questionMark, !hasQuery {
                hasQuery = true
                queryStart = position + 1
            } else if byte == ASCII.percent, !hasQuery {
                pathHasEscapes = true
            }
            position += 1
        }
    }

    /// `HTTP/1.1` CR LF; byte by byte where it is another version or not there as a whole.
    private mutating func readVersion(_ bytes: Span<UInt8>, _ end: Int) -> Refusal.Reason? {
        if cursor == mark, cursor + 8 <= end, bytes.word(at: cursor) == HTTPVersion.http11Word {
            version = .http11
            cursor += 8
            if cursor + 2 <= end, bytes[cursor] == ASCII.carriageReturn, bytes[cursor + 1] == ASCII.lineFeed {
                cursor += 2
                phase = .fields
                return interpretTarget(bytes)
            }
        }
        while cursor < end {
            let byte = bytes[cursor]
            let isExpected: Bool
            switch cursor - mark {
            case 0: isExpected = byte == 0x48  // H
            case 1, 2: isExpected = byte == 0x54  // T
            case 3: isExpected = byte == 0x50  // P
            case 4: isExpected = byte == ASCII.slash
            case 5:
                guard let major = decimalDigit(byte) else { return .badRequestLine }
                if major == 0 { return .http09 }
                if major > 1 { return .versionNotSupported }
                isExpected = true
            case 6: isExpected = byte == ASCII.dot
            case 7:
                guard let minor = decimalDigit(byte) else { return .badRequestLine }
                version = minor == 0 ? .http10 : .http11
                isExpected = true
            case 8:
                isExpected = byte == ASCII.carriageReturn
            default:
                guard byte == ASCII.lineFeed else { return .bareCR }
                cursor += 1
                phase = .fields
                return interpretTarget(bytes)
            }
            guard isExpected else { return .init(unexpected: byte, otherwise: .badRequestLine) }
            cursor += 1
        }
        return nil
    }
}
