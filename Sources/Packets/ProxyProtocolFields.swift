/// What the type-length-value fields of a version 2 preamble say, section 2.2 of the specification, as far as Poise knows
/// them. Others are stepped over.
///
/// Values are the sender's bytes: nothing says that they are text.
public struct ProxyProtocolFields: Sendable, Hashable {
    /// PP2_TYPE_SSL: how the client's connection to the sender is secured.
    public struct TLS: Sendable, Hashable {
        /// PP2_CLIENT_SSL, PP2_CLIENT_CERT_CONN, PP2_CLIENT_CERT_SESS, and whatever else the sender has set.
        public struct Flags: OptionSet, Sendable, Hashable {
            public let rawValue: UInt8
            public init(rawValue: UInt8) { self.rawValue = rawValue }
            public static let secured = Self(rawValue: 0x01)
            public static let certificateOnConnection = Self(rawValue: 0x02)
            public static let certificateInSession = Self(rawValue: 0x04)
        }
        public var flags: Flags
        /// The client has shown a certificate, and it was found to be good.
        public var isVerified: Bool
        /// `TLSv1.3`
        public var version: [UInt8]?
        /// Of the client's certificate.
        public var commonName: [UInt8]?
        public var cipher: [UInt8]?
        public var signatureAlgorithm: [UInt8]?
        public var keyAlgorithm: [UInt8]?

        public init(flags: Flags, isVerified: Bool) { (self.flags, self.isVerified) = (flags, isVerified) }
    }

    public var alpn: [UInt8]?
    /// The host name that the client asked for.
    public var authority: [UInt8]?
    /// At most 128 bytes.
    public var uniqueID: [UInt8]?
    public var tls: TLS?
    public var networkNamespace: [UInt8]?
    /// `vpce-…`: the VPC endpoint of AWS PrivateLink.
    public var awsEndpoint: [UInt8]?
    /// LINKID of an Azure private endpoint.
    public var azureLink: UInt32?
    /// Of Google's Private Service Connect.
    public var googleConnection: UInt64?

    public init() {}

    public var isEmpty: Bool { self == Self() }

    /// More of a value is not kept. No host name, protocol name or common name is longer: RFC 1035 §3.1, RFC 7301 §3.1.
    public static let valueBytesMax = 255
    /// Section 2.2.5.
    public static let uniqueIDBytesMax = 128
    /// The longest that ``encode(into:)`` writes.
    public static let encodedBytesMax = 10 * (3 + valueBytesMax) + 64
}

/// The numbers of the fields, sections 2.2.1 to 2.2.8.
enum FieldType {
    static let alpn: UInt8 = 0x01
    static let authority: UInt8 = 0x02
    static let checksum: UInt8 = 0x03
    static let uniqueID: UInt8 = 0x05
    static let tls: UInt8 = 0x20
    static let tlsVersion: UInt8 = 0x21
    static let tlsCommonName: UInt8 = 0x22
    static let tlsCipher: UInt8 = 0x23
    static let tlsSignatureAlgorithm: UInt8 = 0x24
    static let tlsKeyAlgorithm: UInt8 = 0x25
    static let networkNamespace: UInt8 = 0x30
    // Of vendors, from the range that the specification leaves to them; each as its vendor documents it.
    static let google: UInt8 = 0xE0
    static let aws: UInt8 = 0xEA
    static let awsEndpoint: UInt8 = 0x01
    static let azure: UInt8 = 0xEE
    static let azureLink: UInt8 = 0x01
}
