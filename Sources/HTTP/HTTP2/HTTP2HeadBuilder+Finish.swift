import PoiseBytes

/// The end of a head: what was missing, and the start line in front of the lines.
extension HTTP2HeadBuilder {
    /// Completes the text after the last field.
    mutating func finish() {
        guard fault == nil else { return }
        switch kind {
        case .trailers: break
        case .response:
            guard seen == 0x10 else { return fail(.missingPseudoField) }
            // §8.6: this version does not switch protocols.
            if status == 101 { return fail(.badStatus) }
        case .request:
            guard seen & 0x1 != 0 else { return fail(.missingPseudoField) }
            if isConnect {
                // §8.5: an authority, and nothing else.
                guard seen == 0x5 else { return fail(.badPseudoField) }
            } else {
                guard seen & 0xB == 0xB else { return fail(.missingPseudoField) }
                let first = path.isEmpty ? 0 : side[path.start]
                let isAsterisk =
                    path.count == 1 && first == ASCII.asterisk && method.count == 7
                    && side.span.matches(method.start, StaticString("OPTIONS").asciiBytes, 0, count: 7)
                guard first == ASCII.slash || isAsterisk else { return fail(.badPath) }
            }
        }
        appendCookies()
        if kind != .trailers { writeStartLine() }
        reserve(2)
        stage(pair: ASCII.lineEnd, offset: 0)
        textEnd += 2
    }

    private mutating func appendCookies() {
        guard cookiesEnd > 0 else { return }
        reserve(cookiesEnd + 16)
        let (position, count) = (textEnd, cookiesEnd)
        text.stage(StaticString("cookie: ").asciiBytes, from: 0, to: 8, at: position)
        Self.copy(cookies, ByteRange(start: 0, count: count), into: &text, at: position + 8)
        text.store(ASCII.lineEnd, at: position + 8 + count)
        textEnd += cookiesEnd + 10
    }

    private mutating func writeStartLine() {
        let target = isConnect ? authority : path
        let hasAuthority = seen & 0x4 != 0
        let length =
            kind == .response
            ? 15 : method.count + target.count + 12 + (hasAuthority ? authority.count + 8 : 0)
        if length > textStart {
            let missing = length - textStart
            reserve(missing)
            let (start, end) = (textStart, textEnd)
            text.move(from: start, to: end, at: length)
            (textStart, textEnd) = (length, textEnd + missing)
        }
        textStart -= length
        if kind == .response {
            writeStatusLine()
        } else {
            writeRequestLine(target, hasAuthority ? authority : nil)
        }
    }

    private mutating func writeStatusLine() {
        let (status, position) = (status, textStart)
        var output = text.mutableSpan
        output.store(HTTPVersion.http11Word, at: position)
        output[position + 8] = ASCII.space
        output[position + 9] = UInt8(status / 100) + 0x30
        output[position + 10] = UInt8(status / 10 % 10) + 0x30
        output[position + 11] = UInt8(status % 10) + 0x30
        output[position + 12] = ASCII.space
        output.store(ASCII.lineEnd, at: position + 13)
    }

    private mutating func writeRequestLine(_ target: ByteRange, _ authority: ByteRange?) {
        let (side, method) = (side, method)
        let bytes = side.span
        var position = textStart
        var output = text.mutableSpan
        position = Self.write(bytes, method, &output, position)
        output[position] = ASCII.space
        position = Self.write(bytes, target, &output, position + 1)
        output[position] = ASCII.space
        output.store(HTTPVersion.http11Word, at: position + 1)
        output.store(ASCII.lineEnd, at: position + 9)
        position += 11
        guard let authority else { return }
        // In the spelling that goes on to an HTTP/1.1 target as it is: `RequestHead.beginsPlainly`.
        output.store(UInt32(0x7473_6F48), at: position)
        output.store(ASCII.colonSpace, at: position + 4)
        position = Self.write(bytes, authority, &output, position + 6)
        output.store(ASCII.lineEnd, at: position)
    }

    /// Not in blocks of 16, which would destroy what stands behind.
    @inline(__always)
    private static func write(
        _ bytes: Span<UInt8>, _ range: ByteRange, _ output: inout MutableSpan<UInt8>, _ position: Int
    ) -> Int {
        var start = range.start
        var position = position
        while start &+ 8 <= range.end {
            output.store(bytes.word(at: start), at: position)
            start &+= 8
            position &+= 8
        }
        while start < range.end {
            output[position] = bytes[start]
            start &+= 1
            position &+= 1
        }
        return position
    }
}
