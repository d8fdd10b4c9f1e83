/// A question to a nameserver.
public struct DNSProbe: Sendable, Hashable {
    public enum Record: String, Sendable, CaseIterable {
        case a = "A"
        case aaaa = "AAAA"
        case cname = "CNAME"
        case mx = "MX"
        case ns = "NS"
        case ptr = "PTR"
        case soa = "SOA"
        case srv = "SRV"
        case txt = "TXT"
        case caa = "CAA"

        /// RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 2782, RFC 8659 §4.1
        public var number: UInt16 {
            switch self {
            case .a: 1
            case .ns: 2
            case .cname: 5
            case .soa: 6
            case .ptr: 12
            case .mx: 15
            case .txt: 16
            case .aaaa: 28
            case .srv: 33
            case .caa: 257
            }
        }
    }
    public enum Transport: String, Sendable, CaseIterable {
        /// And TCP where an answer did not fit.
        case udp
        case tcp
    }

    /// A name, or `.` for the root.
    public var query: String
    public var record = Record.a
    public var transport = Transport.udp
    /// One of the answers must be this address; A and AAAA only.
    public var answer: IPAddress?

    public init(query: String) { self.query = query }

    /// `DNS A www.shop.test`
    public var summary: String {
        "DNS \(record.rawValue) \(query)\(transport == .tcp ? " over TCP" : "")"
    }
}
