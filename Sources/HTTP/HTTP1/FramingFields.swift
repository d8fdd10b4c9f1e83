/// What `Content-Length` and `Transfer-Encoding` of one head say together. RFC 9112 §6
///
/// Both, either one repeated, or a value with anything beside its plain form is refused: two parsers that choose
/// differently see different requests in the same bytes.
struct FramingFields {
    private var contentLength: ByteRange?
    private var transferEncoding: ByteRange?

    /// - Returns: the reason to refuse, or nil.
    mutating func take(_ field: FieldLine) -> Refusal.Reason? {
        switch field.id {
        case .contentLength:
            if contentLength != nil { return .repeatedContentLength }
            contentLength = field.value
        case .transferEncoding:
            if transferEncoding != nil { return .repeatedTransferEncoding }
            transferEncoding = field.value
        default: break
        }
        return nil
    }

    enum Verdict {
        /// Neither field is there.
        case absent
        case length(Int)
        case chunked
        case refused(Refusal.Reason)
    }

    func verdict(_ bytes: Span<UInt8>, version: HTTPVersion) -> Verdict {
        if let transferEncoding {
            if contentLength != nil { return .refused(.contentLengthAndTransferEncoding) }
            if version == .http10 { return .refused(.transferEncodingInHTTP10) }
            if equalsIgnoringCase(bytes, transferEncoding, "chunked") { return .chunked }
            return .refused(Self.fault(bytes, of: transferEncoding))
        }
        guard let contentLength else { return .absent }
        guard let length = decimalValue(bytes, contentLength) else { return .refused(.badContentLength) }
        return .length(length)
    }

    /// 501 for codings that we do not have, with `chunked` last or not there; 400 for what no sender may write.
    private static func fault(_ bytes: Span<UInt8>, of value: ByteRange) -> Refusal.Reason {
        var elements = ListElements(value)
        var isAfterChunked = false
        var isEmpty = true
        while let coding = elements.next(bytes) {
            isEmpty = false
            var nameEnd = coding.start
            while nameEnd < coding.end, ByteClass.token.contains(bytes[nameEnd]) { nameEnd += 1 }
            let name = ByteRange(coding.start..<nameEnd)
            // What follows the name can only be a parameter, and `chunked` has none.
            let isPlain = nameEnd == coding.end
            guard !name.isEmpty, isPlain || bytes[nameEnd] == ASCII.semicolon || isBlank(bytes[nameEnd]) else {
                return .badTransferEncoding
            }
            if isAfterChunked { return .badTransferEncoding }
            if equalsIgnoringCase(bytes, name, "chunked") {
                if !isPlain { return .badTransferEncoding }
                isAfterChunked = true
            }
        }
        if isEmpty { return .badTransferEncoding }
        // "chunked," and ",chunked" are the single coding in a form that other parsers do not know.
        var first = ListElements(value)
        if let only = first.next(bytes), first.next(bytes) == nil, equalsIgnoringCase(bytes, only, "chunked") {
            return .badTransferEncoding
        }
        return .unsupportedTransferCoding
    }
}
