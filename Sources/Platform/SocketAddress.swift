import CPoise
import PoiseModel

/// Where a socket is or goes: an IP address with port, or a unix path.
public enum SocketAddress: Sendable, Hashable {
    case ip(IPAddress, port: UInt16)
    case unix(path: String)
}

extension poise_address {
    init(_ address: IPAddress, port: UInt16) {
        self.init(
            high: UInt64(truncatingIfNeeded: address.bits >> 64), low: UInt64(truncatingIfNeeded: address.bits),
            port: port, family: address.family.rawValue)
    }

    /// `nil`: not an IP address (a unix peer).
    var ip: IPAddress? {
        switch family {
        case 4: IPAddress(v4: UInt32(truncatingIfNeeded: low))
        case 6: IPAddress(v6: UInt128(high) << 64 | UInt128(low))
        default: nil
        }
    }

    /// Address and port; `nil` for a peer that has none.
    public var peerAddress: (ip: IPAddress, port: UInt16)? { ip.map { ($0, port) } }
}
