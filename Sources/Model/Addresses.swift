/// An IPv4 or IPv6 address in network byte order. A value type of 17 bytes; IPv4 uses the first four.
public struct IPAddress: Sendable, Hashable {
    public enum Family: UInt8, Sendable { case v4 = 4, v6 = 6 }

    public let family: Family
    /// The address as one big-endian number: 0...2^32-1 for IPv4.
    public let bits: UInt128

    public init(v4 bits: UInt32) { (family, self.bits) = (.v4, UInt128(bits)) }
    public init(v6 bits: UInt128) { (family, self.bits) = (.v6, bits) }

    /// `::ffff:192.0.2.1` as 192.0.2.1; any other address as it is.
    public var unmapped: IPAddress {
        guard family == .v6, bits >> 32 == 0xFFFF else { return self }
        return IPAddress(v4: UInt32(truncatingIfNeeded: bits))
    }
}

/// Where a listener accepts, as written: the address may stand for both families.
public enum ListenAddress: Sendable, Hashable {
    /// `":8080"`: every IPv4 and IPv6 address of the machine.
    case anyAddress(port: UInt16)
    case ip(IPAddress, port: UInt16)
    case unix(path: String)
}

/// Where a target is.
public enum TargetAddress: Sendable, Hashable {
    case ip(IPAddress, port: UInt16)
    /// A DNS name that stands for all of its addresses, resolved again and again.
    case name(String, port: UInt16)
    case unix(path: String)
}

/// An address range, `10.0.0.0/8`.
public struct AddressRange: Sendable, Hashable {
    public let base: IPAddress
    /// 0...32 for IPv4, 0...128 for IPv6.
    public let prefixLength: Int

    public init(base: IPAddress, prefixLength: Int) { (self.base, self.prefixLength) = (base, prefixLength) }

    /// Whether `address` lies in the range. An IPv4-mapped IPv6 address is compared as IPv4.
    public func contains(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        guard address.family == base.family else { return false }
        let width = base.family == .v4 ? 32 : 128
        let shift = UInt128(width - prefixLength)
        return prefixLength == 0 || address.bits >> shift == base.bits >> shift
    }
}
