import PoiseModel

/// A DNS message, RFC 1035 §4: what a resolver asks and what a nameserver answers.
public struct DNSMessage: Sendable, Equatable {
    public struct Question: Sendable, Equatable {
        public var name: DNSName
        public var type: UInt16
        /// 1: the Internet.
        public var dnsClass: UInt16 = 1

        public init(_ name: DNSName, type: UInt16) { (self.name, self.type) = (name, type) }
    }

    public struct Record: Sendable, Equatable {
        public var name: DNSName
        public var type: UInt16
        public var dnsClass: UInt16 = 1
        /// In seconds; of OPT, flags.
        public var timeToLive: UInt32 = 0
        public var data: Data

        public init(_ name: DNSName, type: UInt16, timeToLive: UInt32 = 0, _ data: Data) {
            (self.name, self.type, self.timeToLive, self.data) = (name, type, timeToLive, data)
        }
    }

    /// What a record says. Names in it may be compressed on the wire, so the types that have them are known here.
    public enum Data: Sendable, Equatable {
        /// A and AAAA.
        case address(IPAddress)
        /// NS, CNAME and PTR.
        case name(DNSName)
        /// MX: the preference, the host.
        case exchange(UInt16, DNSName)
        /// SRV, RFC 2782.
        case service(priority: UInt16, weight: UInt16, port: UInt16, DNSName)
        /// SOA: the nameserver, the mailbox; serial, refresh, retry, expire, minimum.
        case authority(DNSName, DNSName, [UInt32])
        /// Everything else, as it is; also what has not the form that its type asks for outside of class IN.
        case other([UInt8])
    }

    public var id: UInt16
    public var isAnswer = false
    /// 0 is a query.
    public var operation: UInt8 = 0
    public var isAuthoritative = false
    /// The rest did not fit: to be asked again over TCP.
    public var isTruncated = false
    public var wantsRecursion = false
    public var offersRecursion = false
    /// 0...15
    public var responseCode: UInt8 = 0
    public var questions: [Question] = []
    public var answers: [Record] = []
    public var authorities: [Record] = []
    public var additionals: [Record] = []

    public init(id: UInt16) { self.id = id }

    /// A question to a resolver or a nameserver.
    public init(id: UInt16, asking question: Question) {
        (self.id, questions, wantsRecursion) = (id, [question], true)
    }

    /// `NXDOMAIN`; RFC 1035 §4.1.1 and RFC 2136 §2.2.
    public var responseCodeName: String {
        let names = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
            "NOTAUTH",
            "NOTZONE",
        ]
        return Int(responseCode) < names.count ? names[Int(responseCode)] : "code \(responseCode)"
    }

    enum TypeNumber {
        static let (a, ns, cname, soa, ptr, mx, aaaa, srv) = (
            UInt16(1), UInt16(2), UInt16(5), UInt16(6), UInt16(12), UInt16(15), UInt16(28), UInt16(33)
        )
    }
}
