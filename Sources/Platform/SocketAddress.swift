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
        switch address.family {
        case .v4:
            family = 4
            unsafe withUnsafeMutableBytes(of: &bytes) {
                // SAFETY: four of the sixteen bytes.
                unsafe $0.storeBytes(of: UInt32(truncatingIfNeeded: address.bits).bigEndian, as: UInt32.self)
            }
        case .v6:
            family = 6
            unsafe withUnsafeMutableBytes(of: &bytes) {
                // SAFETY: the sixteen bytes.
                unsafe $0.storeBytes(of: address.bits.bigEndian, as: UInt128.self)
            }
        }
    }

    /// `nil`: not an IP address (a unix peer).
    var ip: IPAddress? {
        var copy = bytes
        switch family {
        case 4:
            // SAFETY: the first four of sixteen bytes; `copy` is a local.
            let bits = unsafe withUnsafeBytes(of: &copy) { unsafe $0.loadUnaligned(as: UInt32.self) }
            return IPAddress(v4: UInt32(bigEndian: bits))
        case 6:
            // SAFETY: sixteen bytes; `copy` is a local.
            let bits = unsafe withUnsafeBytes(of: &copy) { unsafe $0.loadUnaligned(as: UInt128.self) }
            return IPAddress(v6: UInt128(bigEndian: bits))
        default:
            return nil
        }
    }

    /// Address and port; `nil` for a peer that has none.
    public var peerAddress: (ip: IPAddress, port: UInt16)? { ip.map { ($0, port) } }
}
