import PoiseHTTP
import PoiseModel

/// A redirect action, compiled: writes the `Location` of its answers.
///
/// The parts and placeholders are those of ELBv2: a part that is not given keeps the request's; `host` may use
/// `#{host}`, `path` also `#{port}` and `#{path}`, `query` all five. A client's path or query in the authority would
/// be an open redirect and is refused with the configuration.
///
/// Two choices beyond ELBv2: a port that is its scheme's default is not written; and where only the scheme changes,
/// a default port changes with it (`http://shop.test/` → `https://shop.test/` and not `https://shop.test:80/`).
public struct RedirectTemplate: Sendable {
    public let status: Int
    let scheme: URLScheme?
    let host: [Piece]
    let port: Port
    let path: [Piece]
    let query: [Piece]

    enum Port: Sendable, Equatable {
        /// The request's, or the new scheme's default where the request's is its scheme's default.
        case kept
        /// `#{port}`: the request's, whatever the scheme.
        case requested
        case fixed(UInt16)
    }

    enum Piece: Sendable, Equatable {
        /// Percent-encoded already.
        case literal([UInt8])
        case scheme, host, port, path, query
    }

    /// Why no `Location` was written. Both mean a bug above or a request that should have been refused.
    public enum Refusal: String, Error, Sendable {
        /// HTTP/1.0 without Host: there is no authority to write.
        case noHost = "no_host"
        /// A byte that could end the field or leave its part of the URL.
        case badByte = "bad_byte"
    }

    /// Writes the absolute URL that the client is sent to; after a refusal nothing has been written.
    ///
    /// The request's bytes are copied as they are, but what a URI may not hold (non-ASCII, `"`, `\` …) is
    /// percent-encoded. At most three times as long as the request's parts and the template together.
    ///
    /// - Returns: `nil` when the URL was written.
    public func write<Sink: ByteSink & ~Copyable>(
        for request: borrowing RequestURL, into sink: inout Sink
    ) -> Refusal? {
        if let refusal = Self.check(request) { return refusal }
        let scheme = scheme ?? request.scheme
        sink.append(text: scheme.text)
        sink.append(text: "://")
        append(host, of: request, allowed: .host, to: &sink)
        let port = self.port(of: request)
        if port != scheme.defaultPort {
            sink.append(UInt8(ascii: ":"))
            sink.appendPort(port)
        }
        append(path, of: request, allowed: .path, to: &sink)
        if hasQuery(for: request) {
            sink.append(UInt8(ascii: "?"))
            append(query, of: request, allowed: .query, to: &sink)
        }
        return nil
    }

    /// Whether the redirect would send this request to the URL that it came for: a loop, which only shows when the
    /// request is there (`host: shop.test` on a listener that also serves shop.test). Does not allocate.
    public func loops(_ request: borrowing RequestURL) -> Bool {
        guard scheme == nil || scheme == request.scheme, port(of: request) == request.port else { return false }
        return expand(host, of: request, to: request.host, foldBit: caseBit)
            && expand(path, of: request, to: request.path, foldBit: 0)
            && expand(query, of: request, to: request.query, foldBit: 0)
    }

    private func port(of request: borrowing RequestURL) -> UInt16 {
        switch port {
        case .fixed(let port): return port
        case .requested: return request.port
        case .kept:
            let scheme = scheme ?? request.scheme
            return request.port == request.scheme.defaultPort ? scheme.defaultPort : request.port
        }
    }

    private func hasQuery(for request: borrowing RequestURL) -> Bool {
        for piece in query where piece != .query || request.query.count > 0 { return true }
        return false
    }

    private static func check(_ request: borrowing RequestURL) -> Refusal? {
        guard request.host.count > 0 else { return .noHost }
        let allowedInHost = ASCIISet.host
        for index in request.host.indices {
            let byte = request.host[index]
            guard byte >= 0x80 || byte == UInt8(ascii: "%") || allowedInHost.contains(byte) else { return .badByte }
        }
        for index in request.path.indices {
            let byte = request.path[index]
            if isControl(byte) || byte == 0x20 || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") {
                return .badByte
            }
        }
        for index in request.query.indices {
            let byte = request.query[index]
            if isControl(byte) || byte == 0x20 || byte == UInt8(ascii: "#") { return .badByte }
        }
        return nil
    }

    private func append<Sink: ByteSink & ~Copyable>(
        _ pieces: [Piece], of request: borrowing RequestURL, allowed: ASCIISet, to sink: inout Sink
    ) {
        for piece in pieces {
            switch piece {
            case .literal(let bytes): sink.append(bytes.span)
            case .scheme: sink.append(text: request.scheme.text)
            case .port: sink.appendPort(request.port)
            case .host: sink.append(request.host, allowed: allowed)
            case .path: sink.append(request.pathWithoutSlash, allowed: allowed)
            case .query: sink.append(request.query, allowed: allowed)
            }
        }
    }

    /// Whether the pieces, for this request, are exactly `expected`.
    private func expand(
        _ pieces: [Piece], of request: borrowing RequestURL, to expected: Span<UInt8>, foldBit: UInt8
    ) -> Bool {
        var index = 0
        for piece in pieces {
            let isSame =
                switch piece {
                case .literal(let bytes): Self.step(&index, over: bytes.span, in: expected, foldBit)
                case .host: Self.step(&index, over: request.host, in: expected, foldBit)
                case .path: Self.step(&index, over: request.pathWithoutSlash, in: expected, foldBit)
                case .query: Self.step(&index, over: request.query, in: expected, foldBit)
                case .scheme: Self.step(&index, over: request.scheme.text.utf8.span, in: expected, foldBit)
                case .port: Self.step(&index, overPort: request.port, in: expected)
                }
            if !isSame { return false }
        }
        return index == expected.count
    }

    private static func step(
        _ index: inout Int, over part: Span<UInt8>, in expected: Span<UInt8>, _ foldBit: UInt8
    ) -> Bool {
        guard part.count <= expected.count - index else { return false }
        for offset in part.indices {
            let (a, b) = (part[offset], expected[index + offset])
            guard foldedCase(a, bit: foldBit) == foldedCase(b, bit: foldBit) else { return false }
        }
        index += part.count
        return true
    }

    private static func step(_ index: inout Int, overPort port: UInt16, in expected: Span<UInt8>) -> Bool {
        var digits = InlineSink()
        digits.appendPort(port)
        return step(&index, over: digits.bytes.span.extracting(first: digits.count), in: expected, 0)
    }
}

/// Takes the five digits of a port.
private struct InlineSink: ByteSink {
    var bytes = InlineArray<5, UInt8>(repeating: 0)
    var count = 0

    mutating func append(_ byte: UInt8) {
        bytes[count] = byte
        count += 1
    }

    mutating func append(_ bytes: Span<UInt8>) {
        for index in bytes.indices { append(bytes[index]) }
    }
}

extension ByteSink where Self: ~Copyable {
    /// Bytes outside of `allowed` as triplets; triplets that are there stay.
    fileprivate mutating func append(_ bytes: Span<UInt8>, allowed: ASCIISet) {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%") || allowed.contains(byte) {
                append(byte)
            } else {
                appendPercentEncoded(byte)
            }
        }
    }
}
