import CPoise
import PoiseModel

/// Where a socket is or goes: an IP address with port, or a unix path.
public enum SocketAddress: Sendable, Hashable {
    case ip(IPAddress, port: UInt16)
    case unix(path: String)
}

extension poise_address {
    init(_ address: IPAddress, port: UInt16) {
        self.init()
        self.port = port
        family = address.family.rawValue
        let high = address.family == .v4 ? address.bits : address.bits >> 64
        let low = address.family == .v4 ? 0 : address.bits
        // SAFETY: the pointer is used during the call only.
        unsafe poise_address_set(&self, UInt64(truncatingIfNeeded: high), UInt64(truncatingIfNeeded: low))
    }

    /// `nil`: not an IP address (a unix peer).
    var ip: IPAddress? {
        var copy = self
        var high: UInt64 = 0
        var low: UInt64 = 0
        // SAFETY: three locals, used during the call only.
        unsafe poise_address_get(&copy, &high, &low)
        switch family {
        case 4: return IPAddress(v4: UInt32(truncatingIfNeeded: high))
        case 6: return IPAddress(v6: UInt128(high) << 64 | UInt128(low))
        default: return nil
        }
    }

    /// Address and port; `nil` for a peer that has none.
    public var peerAddress: (ip: IPAddress, port: UInt16)? { ip.map { ($0, port) } }
}
