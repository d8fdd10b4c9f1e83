import PoiseBalancing
import PoiseHTTP
import PoiseModel

/// The key of `hash`: parts of a request as one 64-bit number, the same on every machine.
///
/// Parts are read in the order written, each hashed with what came before as its seed. A part that a request does not
/// have counts as a mark of its own, so that `a` without `b` is not `b` without `a`. A value that is there and empty is
/// there.
public struct HashKey: Sendable {
    private enum Kind: UInt8 { case header, cookie, query, path, host, uri, sourceIP }

    /// Nothing that is counted by reference: workers share it.
    private struct Part {
        var kind: Kind
        /// Of its name in `names`.
        var name = ByteRange.empty
        var ipv4Bits: UInt8 = 0
        var ipv6Bits: UInt8 = 0
    }

    private let parts: [Part]
    private let names: [UInt8]

    public init(_ key: [HashKeyPart]) {
        var parts: [Part] = []
        var names: [UInt8] = []
        for part in key {
            func named(_ kind: Kind, _ name: String) -> Part {
                let start = names.count
                names += Array(name.utf8)
                return Part(kind: kind, name: ByteRange(start..<names.count))
            }
            switch part {
            case .header(let name): parts.append(named(.header, name))
            case .cookie(let name): parts.append(named(.cookie, name))
            case .query(let name): parts.append(named(.query, name))
            case .path: parts.append(Part(kind: .path))
            case .host: parts.append(Part(kind: .host))
            case .uri: parts.append(Part(kind: .uri))
            case .sourceIP(let ipv4Bits, let ipv6Bits):
                parts.append(Part(kind: .sourceIP, ipv4Bits: UInt8(ipv4Bits), ipv6Bits: UInt8(ipv6Bits)))
            }
        }
        (self.parts, self.names) = (parts, names)
    }

    /// Whether ``hash(_:_:client:)`` needs to know the client.
    public var asksForClient: Bool { parts.contains { $0.kind == .sourceIP } }

    /// - Parameters:
    ///   - head: whole; its ranges lie in `bytes`.
    ///   - client: `nil` where there is no address, on a unix socket.
    /// - Returns: `nil` when the request has none of the parts.
    /// - Cost: one pass over the fields per `header` and `cookie`; no allocation.
    public func hash(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, client: IPAddress?) -> UInt64? {
        var state = Self.seed
        var isPresent = false
        for index in parts.indices {
            let part = parts[index]
            let before = state
            switch part.kind {
            case .header: readFields(head, bytes, part.name, &state)
            case .cookie: readCookie(head, bytes, part.name, &state)
            case .query: readParameter(bytes, head.query, part.name, &state)
            case .path where !head.path.isEmpty: state = chained(bytes, head.path, state)
            case .host where !head.host.isEmpty: state = chainedIgnoringCase(bytes, head.host, state)
            case .uri where !head.path.isEmpty:
                state = chained(bytes, head.path, state)
                if head.hasQuery { state = chained(bytes, head.query, state) }
            case .sourceIP: if let client { state = chained(client, part, state) }
            case .path, .host, .uri: break
            }
            if state == before { state = mix64(before ^ Self.absent) } else { isPresent = true }
        }
        return isPresent ? state : nil
    }

    // MARK: - Parts

    private static let seed: UInt64 = 0x706F_6973_6520_6B31
    private static let absent: UInt64 = 0x6162_7365_6E74_0001

    private func chained(_ bytes: Span<UInt8>, _ range: ByteRange, _ state: UInt64) -> UInt64 {
        hash64(bytes.extracting(range.indices), seed: state)
    }

    /// Names of hosts are short: byte by byte.
    private func chainedIgnoringCase(_ bytes: Span<UInt8>, _ range: ByteRange, _ state: UInt64) -> UInt64 {
        var sum = state
        for index in range.indices {
            let byte = bytes[index]
            let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
            sum = (sum ^ UInt64(lower)) &* 0x0000_0100_0000_01B3
        }
        return mix64(sum ^ UInt64(range.count))
    }

    private func chained(_ client: IPAddress, _ part: Part, _ state: UInt64) -> UInt64 {
        let address = client.unmapped
        let width = address.family == .v4 ? 32 : 128
        let kept = address.family == .v4 ? Int(part.ipv4Bits) : Int(part.ipv6Bits)
        let bits = address.bits >> UInt128(width - kept)
        let high = mix64(state ^ UInt64(truncatingIfNeeded: bits >> 64) ^ UInt64(width))
        return mix64(high ^ UInt64(truncatingIfNeeded: bits))
    }

    private func readFields(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ name: ByteRange, _ state: inout UInt64
    ) {
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            guard line.name.count == name.count, isNamed(bytes, line.name, name) else { continue }
            state = chained(bytes, line.value, state)
        }
    }

    /// `names` are in lower case.
    private func isNamed(_ bytes: Span<UInt8>, _ range: ByteRange, _ name: ByteRange) -> Bool {
        for offset in 0..<name.count {
            let byte = bytes[range.start + offset]
            guard (byte &- 0x41 < 26 ? byte | 0x20 : byte) == names[name.start + offset] else { return false }
        }
        return true
    }

    /// The first cookie of this name, in all lines: HTTP/2 may cut the field. RFC 6265 §4.2.1, RFC 9113 §8.2.3
    private func readCookie(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ name: ByteRange, _ state: inout UInt64
    ) {
        guard head.fields.contains(.cookie) else { return }
        for index in 0..<head.fields.count where head.fields[index].id == .cookie {
            let line = head.fields[index].value
            if let value = value(of: name, in: bytes, line, separator: UInt8(ascii: ";")) {
                state = chained(bytes, value, state)
                return
            }
        }
    }

    private func readParameter(_ bytes: Span<UInt8>, _ query: ByteRange, _ name: ByteRange, _ state: inout UInt64) {
        if let value = value(of: name, in: bytes, query, separator: UInt8(ascii: "&")) {
            state = chained(bytes, value, state)
        }
    }

    /// The value of the first `name=value`; empty where there is no `=`.
    private func value(
        of name: ByteRange, in bytes: Span<UInt8>, _ range: ByteRange, separator: UInt8
    ) -> ByteRange? {
        var start = range.start
        while start < range.end {
            while start < range.end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
            var end = start
            while end < range.end, bytes[end] != separator { end += 1 }
            var equals = start
            while equals < end, bytes[equals] != UInt8(ascii: "=") { equals += 1 }
            if equals - start == name.count, isSame(bytes, start, name) {
                return ByteRange(min(equals + 1, end)..<end)
            }
            start = end + 1
        }
        return nil
    }

    private func isSame(_ bytes: Span<UInt8>, _ start: Int, _ name: ByteRange) -> Bool {
        for offset in 0..<name.count where bytes[start + offset] != names[name.start + offset] { return false }
        return true
    }
}
