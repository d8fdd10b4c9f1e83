/// What the request line and the fields mean together, once their bytes are known to be clean.
extension RequestHead {
    /// Finds the form of the target and takes it apart. RFC 9112 §3.2
    mutating func interpretTarget(_ bytes: Span<UInt8>) -> Refusal.Reason? {
        if hasQuery { query = ByteRange(queryStart..<target.end) }
        let pathEnd = hasQuery ? queryStart - 1 : target.end
        let first = bytes[target.start]
        if method == .connect {
            form = .authority
            guard let parsed = Authority(bytes, target), parsed.port != nil else { return .badTarget }
            (authority, host) = (target, parsed.host)
            return nil
        }
        if first == ASCII.slash {
            form = .origin
            path = ByteRange(target.start..<pathEnd)
        } else if first == ASCII.asterisk, target.count == 1 {
            guard method == .options else { return .badTarget }
            form = .asterisk
            path = target
        } else {
            guard let authorityStart = absoluteFormAuthority(bytes) else { return .badTarget }
            form = .absolute
            var authorityEnd = authorityStart
            while authorityEnd < pathEnd, bytes[authorityEnd] != ASCII.slash { authorityEnd += 1 }
            authority = ByteRange(authorityStart..<authorityEnd)
            guard let parsed = Authority(bytes, authority) else { return .badHost }
            host = parsed.host
            path = ByteRange(authorityEnd..<pathEnd)
        }
        return pathHasEscapes && !hasWholeEscapes(bytes, path) ? .badPercentEncoding : nil
    }

    /// The position behind `http://` or `https://`; nil for everything else.
    private func absoluteFormAuthority(_ bytes: Span<UInt8>) -> Int? {
        let start = target.start
        if target.count > 7, equalsIgnoringCase(bytes, ByteRange(start: start, count: 7), "http://") {
            return start + 7
        }
        if target.count > 8, equalsIgnoringCase(bytes, ByteRange(start: start, count: 8), "https://") {
            return start + 8
        }
        return nil
    }

    /// RFC 3986 §2.1. Only the path: browsers send `?q=100%` as it is, and nobody decodes a query to find a route.
    private func hasWholeEscapes(_ bytes: Span<UInt8>, _ range: ByteRange) -> Bool {
        var position = range.start
        while position < range.end {
            if bytes[position] == ASCII.percent {
                guard position + 2 < range.end, let high = hexadecimalDigit(bytes[position + 1]),
                    let low = hexadecimalDigit(bytes[position + 2]), high | low != 0
                else { return false }
                position += 2
            }
            position += 1
        }
        return true
    }

    /// What of a head says more than for which host it is.
    private static var telling: FieldSet {
        [
            .init(.contentLength), .init(.transferEncoding), .init(.connection), .init(.expect), .init(.upgrade),
            .init(.te),
        ]
    }

    /// Framing, host, connection and expectation. RFC 9112 §3.2, §6.3, §9; RFC 9110 §7.6.1, §10.1.1
    mutating func interpretFields(_ bytes: Span<UInt8>) -> Refusal.Reason? {
        if fields.hasNone(of: Self.telling), fields.hasNoneTwice(of: [FieldSet(.host)]) {
            // A plain GET: nothing but who is asked.
            wantsClose = version == .http10
            return takeHost(bytes, fields.first(.host)?.value)
        }
        var framingFields = FramingFields()
        var hostField: ByteRange?
        var hasConnection = false
        var namesUpgrade = false
        for index in fields.indices {
            let field = fields[index]
            switch field.id {
            case .contentLength, .transferEncoding:
                if let reason = framingFields.take(field) { return reason }
            case .host:
                if hostField != nil { return .duplicateHost }
                hostField = field.value
            case .connection: hasConnection = true
            case .expect:
                guard equalsIgnoringCase(bytes, field.value, "100-continue") else { return .unknownExpectation }
                // An HTTP/1.0 client cannot read a 100. RFC 9110 §10.1.1
                expectsContinue = version >= .http11
            case .upgrade: namesUpgrade = namesUpgrade || !field.value.isEmpty
            case .te: readTE(bytes, field.value)
            default: break
            }
        }
        if let reason = takeHost(bytes, hostField) { return reason }
        switch framingFields.verdict(bytes, version: version) {
        case .absent: framing = .none
        case .length(let length): framing = .length(length)
        case .chunked: framing = .chunked
        case .refused(let reason): return reason
        }
        guard hasConnection else {
            wantsClose = version == .http10
            return nil
        }
        guard let options = ConnectionOptions(bytes, marking: &fields) else { return .badConnectionOption }
        wantsClose = options.close || version == .http10 && !options.keepAlive
        hasUpgrade = options.upgrade && namesUpgrade && version >= .http11
        return nil
    }

    /// The first protocol of the client's list that is one of `allowed`: the list is in the order of its preference, and
    /// several fields are one list. RFC 9110 §5.3, §7.8
    ///
    /// - Returns: one element without the white space around it; empty where none is allowed or ``hasUpgrade`` is false.
    /// - Cost: linear in the values times `allowed`.
    public func upgrade(_ bytes: Span<UInt8>, among allowed: [String]) -> ByteRange {
        guard hasUpgrade else { return .empty }
        for index in fields.indices where fields[index].id == .upgrade {
            var elements = ListElements(fields[index].value)
            while let element = elements.next(bytes) {
                for token in allowed where equalsIgnoringCase(bytes, element, token) { return element }
            }
        }
        return .empty
    }

    /// One `Host`, always valid, in every HTTP/1.1 request; an authority in the target comes first. RFC 9112 §3.2.2
    private mutating func takeHost(_ bytes: Span<UInt8>, _ field: ByteRange?) -> Refusal.Reason? {
        guard let field else { return version >= .http11 ? .missingHost : nil }
        // An empty Host would make an http URI without a host, which is invalid. RFC 9110 §4.2.1
        guard let parsed = Authority(bytes, field) else { return .badHost }
        if authority.isEmpty { (authority, host) = (field, parsed.host) }
        return nil
    }

    /// RFC 9110 §10.1.4
    private mutating func readTE(_ bytes: Span<UInt8>, _ value: ByteRange) {
        var elements = ListElements(value)
        while let element = elements.next(bytes) {
            // `trailers` has no weight (§10.1.4), yet some clients give it one like any transfer coding.
            var end = element.start
            while end < element.end, ByteClass.token.contains(bytes[end]) { end += 1 }
            if equalsIgnoringCase(bytes, ByteRange(element.start..<end), "trailers") { acceptsTrailers = true }
        }
    }
}
