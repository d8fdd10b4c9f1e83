import PoiseBytes

/// The byte machine of an answer's head, and what its fields mean.
extension ResponseHead {
    /// - Returns: the reason to refuse, or nil. Sets `headEnd` at the end of the head.
    mutating func step(
        _ bytes: Span<UInt8>, _ limits: HeadLimits, _ requestMethod: HTTPMethod
    ) -> Refusal.Reason? {
        let limit = headStart + limits.headBytesMax
        let end = min(bytes.count, limit)
        while true {
            if cursor >= limit { return .headTooLarge }
            guard cursor < end else { return nil }
            let fault: Refusal.Reason?
            switch phase {
            case .statusLine: fault = readStatusLine(bytes, end)
            case .reason: fault = readReason(bytes, end)
            case .lineEnd:
                guard bytes[cursor] == ASCII.lineFeed else { return .bareCR }
                cursor += 1
                phase = .fields
                fault = nil
            case .fields:
                switch section.parse(
                    bytes, cursor: &cursor, end: end, countMax: limits.fieldCountMax, into: &fields)
                {
                case .ranOut: fault = nil
                case .refused(let reason): fault = reason
                case .complete:
                    if let reason = interpretFields(bytes, requestMethod) { return reason }
                    headEnd = cursor
                    return nil
                }
            }
            if let fault { return fault }
        }
    }

    /// Takes a status line that is there as a whole in the form nearly all have: `HTTP/1.1`, a status, a phrase without
    /// control bytes. Everything else is left to the byte machine, which would give the same result for these.
    ///
    /// - Returns: false, with nothing changed, for every other line.
    private mutating func readPlainLine(_ bytes: Span<UInt8>, _ end: Int) -> Bool {
        let start = cursor
        guard start &+ 15 <= end, bytes.word(at: start) == HTTPVersion.http11Word else { return false }
        let rest = bytes.word(at: start &+ 8, count: 5)  // SP DIGIT DIGIT DIGIT SP
        guard rest & 0xFF_F0F0_F0FF == 0x20_3030_3020 else { return false }
        let (first, second, third) = (Int(rest >> 8 & 15), Int(rest >> 16 & 15), Int(rest >> 24 & 15))
        guard 1...5 ~= first, second < 10, third < 10 else { return false }
        let reasonEnd = bytes.endOfText(from: start &+ 13, to: end)
        guard reasonEnd &+ 2 <= end, bytes.pair(at: reasonEnd) == ASCII.lineEnd else { return false }
        status = first &* 100 &+ second &* 10 &+ third
        reason = ByteRange(from: start &+ 13, to: reasonEnd)
        cursor = reasonEnd &+ 2
        hasPlainLine = true
        phase = .fields
        return true
    }

    /// `HTTP/1.1 200 `. The space behind the status is part of the grammar even without a phrase, but many servers leave
    /// it out, and nothing can be read into that.
    private mutating func readStatusLine(_ bytes: Span<UInt8>, _ end: Int) -> Refusal.Reason? {
        if cursor == mark, readPlainLine(bytes, end) { return nil }
        while cursor < end {
            let byte = bytes[cursor]
            let offset = cursor - mark
            let isExpected: Bool
            switch offset {
            case 0: isExpected = byte == 0x48  // H
            case 1, 2: isExpected = byte == 0x54  // T
            case 3: isExpected = byte == 0x50  // P
            case 4: isExpected = byte == ASCII.slash
            case 5: isExpected = byte == 0x31  // 1
            case 6: isExpected = byte == ASCII.dot
            case 7:
                guard let minor = decimalDigit(byte) else { return .badStatusLine }
                version = minor == 0 ? .http10 : .http11
                isExpected = true
            case 8: isExpected = byte == ASCII.space
            case 9, 10, 11:
                guard let digit = decimalDigit(byte) else { return .badStatusLine }
                status = status * 10 + digit
                // Statuses outside of 100...599 are invalid. RFC 9110 §15
                isExpected = offset != 9 || (1...5).contains(digit)
            default:
                cursor += 1
                if byte == ASCII.carriageReturn {
                    phase = .lineEnd
                    return nil
                }
                guard byte == ASCII.space else { return .init(unexpected: byte, otherwise: .badStatusLine) }
                mark = cursor
                phase = .reason
                return nil
            }
            guard isExpected else { return .init(unexpected: byte, otherwise: .badStatusLine) }
            cursor += 1
        }
        return nil
    }

    private mutating func readReason(_ bytes: Span<UInt8>, _ end: Int) -> Refusal.Reason? {
        cursor = endOfFieldValue(bytes, from: cursor, to: end)
        guard cursor < end else { return nil }
        guard bytes[cursor] == ASCII.carriageReturn else {
            return .init(unexpected: bytes[cursor], otherwise: .controlByte)
        }
        reason = ByteRange(from: mark, to: cursor)
        cursor += 1
        phase = .lineEnd
        return nil
    }

    /// What is looked at line by line.
    private static var rare: FieldSet { [.init(.transferEncoding), .init(.keepAlive), .init(.upgrade)] }

    /// RFC 9112 §6.3, §9.3; RFC 9110 §7.6.1
    private mutating func interpretFields(_ bytes: Span<UInt8>, _ requestMethod: HTTPMethod) -> Refusal.Reason? {
        var framingFields = FramingFields()
        var upgradeCount = 0
        if fields.hasNone(of: Self.rare), fields.hasNoneTwice(of: [FieldSet(.contentLength)]) {
            if let field = fields.first(.contentLength) { _ = framingFields.take(field) }
        } else {
            for index in fields.indices {
                let field = fields[index]
                switch field.id {
                case .contentLength, .transferEncoding:
                    if let reason = framingFields.take(field) { return reason }
                case .keepAlive: readKeepAlive(bytes, field.value)
                case .upgrade:
                    upgradeCount += 1
                    upgradeValue = field.value
                default: break
                }
            }
        }
        hasDate = fields.contains(.date)
        wantsClose = version == .http10
        if fields.contains(.connection) {
            guard let options = ConnectionOptions(bytes, marking: &fields) else { return .badConnectionOption }
            wantsClose = options.close || version == .http10 && !options.keepAlive
            hasUpgrade = options.upgrade && upgradeCount == 1 && version >= .http11 && !upgradeValue.isEmpty
        }
        if !hasUpgrade { upgradeValue = .empty }

        let verdict = framingFields.verdict(bytes, version: version)
        if case .refused(let reason) = verdict { return reason }
        if status < 200 || status == 204 {
            framing = .none
            switch verdict {
            case .absent, .length(0), .refused: break
            // It must not announce content (RFC 9110 §8.6, RFC 9112 §6.1); if some follows, it is no next answer.
            case .length, .chunked: wantsClose = true
            }
            return nil
        }
        let isConnected = requestMethod == .connect && status < 300
        if requestMethod == .head || status == 304 || isConnected {
            framing = .none
            return nil
        }
        switch verdict {
        case .absent:
            framing = .untilClose
            wantsClose = true
        case .length(let length): framing = .length(length)
        case .chunked: framing = .chunked
        case .refused: break
        }
        return nil
    }

    /// `timeout=5, max=100`: how long the target keeps an idle connection. RFC 2068 §19.7.1.1
    private mutating func readKeepAlive(_ bytes: Span<UInt8>, _ value: ByteRange) {
        var elements = ListElements(value)
        while let element = elements.next(bytes) {
            let name = "timeout="
            guard element.count > name.utf8.count else { continue }
            let split = element.start + name.utf8.count
            guard equalsIgnoringCase(bytes, ByteRange(element.start..<split), name) else { continue }
            if let seconds = decimalValue(bytes, ByteRange(split..<element.end)) {
                keepAliveTimeoutSeconds = min(seconds, 86_400)
            }
        }
    }
}
