import PoiseModel

/// Who the client is when proxies stand before Poise: the right-most address that is not a trusted proxy's.
///
/// Every proxy appends the address it was reached from, so only the right end of `X-Forwarded-For` was written by
/// somebody we trust; whatever stands left of the first untrusted address may be invented. The walk starts with the
/// connection's peer and goes left through the field's values, last line first:
///
///     var walk = ClientAddressWalk(peer: peer, trusted: ranges)
///     for each X-Forwarded-For line, from the last: walk.readBackwards(value, trusted: ranges)
///     walk.client
///
/// A member that is no address (`unknown`, `_hidden`, a typing error) ends the walk where it stands: what is left of
/// it cannot be tied to a trusted proxy. The client is then the last address that was read.
public struct ClientAddressWalk: Sendable, Equatable {
    /// The answer so far; IPv4-mapped addresses as IPv4.
    public private(set) var client: IPAddress
    /// Whether more values can change nothing.
    public private(set) var isFinished: Bool

    /// - Parameter peer: the other end of the connection, or what the PROXY protocol says it is.
    public init(peer: IPAddress, trusted: [AddressRange]) {
        client = peer.unmapped
        isFinished = !Self.contains(trusted, client)
    }

    /// Reads one field value from its last member to its first. Empty members are skipped (RFC 9110 §5.6.1).
    /// Cost: members times ranges; no allocation.
    public mutating func readBackwards(_ value: Span<UInt8>, trusted: [AddressRange]) {
        var end = value.count
        while !isFinished, end >= 0 {
            var start = end
            while start > 0, value[start - 1] != UInt8(ascii: ",") { start -= 1 }
            let member = Self.trimmed(value, start..<end)
            end = start - 1
            if member.isEmpty { continue }
            guard let address = Self.address(value.extracting(member)) else {
                isFinished = true
                return
            }
            client = address.unmapped
            isFinished = !Self.contains(trusted, client)
        }
    }

    private static func contains(_ trusted: [AddressRange], _ address: IPAddress) -> Bool {
        for range in trusted where range.contains(address) { return true }
        return false
    }

    private static func trimmed(_ value: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, value[start] == 0x20 || value[start] == 0x09 { start += 1 }
        while start < end, value[end - 1] == 0x20 || value[end - 1] == 0x09 { end -= 1 }
        return start..<end
    }

    /// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
    private static func address(_ member: Span<UInt8>) -> IPAddress? {
        let colon = UInt8(ascii: ":")
        if member[0] == UInt8(ascii: "[") {
            var end = 1
            while end < member.count, member[end] != UInt8(ascii: "]") { end += 1 }
            guard end < member.count, let address = IPAddress(ipv4Or6: member.extracting(1..<end)),
                address.family == .v6
            else { return nil }
            if end + 1 == member.count { return address }
            guard member[end + 1] == colon, isPort(member.extracting((end + 2)..<member.count)) else { return nil }
            return address
        }
        if let address = IPAddress(ipv4Or6: member) { return address }
        var end = 0
        while end < member.count, member[end] != colon { end += 1 }
        guard end < member.count, isPort(member.extracting((end + 1)..<member.count)),
            let address = IPAddress(ipv4Or6: member.extracting(0..<end)), address.family == .v4
        else { return nil }
        return address
    }

    private static func isPort(_ digits: Span<UInt8>) -> Bool {
        guard (1...5).contains(digits.count) else { return false }
        var value = 0
        for index in digits.indices {
            guard digits[index] &- 0x30 < 10 else { return false }
            value = value * 10 + Int(digits[index] - 0x30)
        }
        return value <= 65535
    }
}
