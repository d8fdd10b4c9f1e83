/// What a side of a TLS connection offers and takes, by name. Only values: a new policy is a new row.
///
/// Sources: Mozilla's Server Side TLS guidelines (version 5.7) and the table of ELB security policies for Application
/// Load Balancers.
public struct SecurityPolicy: Sendable, Hashable {
    public enum Version: Int, Sendable, Comparable {
        case tls10 = 0x0301, tls11, tls12, tls13
        public static func < (a: Version, b: Version) -> Bool { a.rawValue < b.rawValue }
    }

    public let name: String
    public let versionMin: Version
    public let versionMax: Version
    /// OpenSSL names for TLS 1.2 and below, in the server's order; empty with TLS 1.3 alone.
    public let ciphers: [String]
    /// OpenSSL names for TLS 1.3.
    public let suites: [String]
    /// Key exchange groups, the preferred first.
    public let groups: [String]
    /// Whether the server's order of ``ciphers`` wins over the client's.
    public let prefersServerOrder: Bool

    public init(
        _ name: String, _ versions: ClosedRange<Version>, ciphers: [String], suites: [String], groups: [String],
        prefersServerOrder: Bool
    ) {
        (self.name, versionMin, versionMax) = (name, versions.lowerBound, versions.upperBound)
        (self.ciphers, self.suites, self.groups) = (ciphers, suites, groups)
        self.prefersServerOrder = prefersServerOrder
    }

    static let suites13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    static let groupsOfToday = ["X25519", "P-256", "P-384"]

    /// Mozilla's recommendation for general-purpose servers: TLS 1.2 with ECDHE and AEAD, and TLS 1.3.
    public static let intermediate = SecurityPolicy(
        "intermediate", .tls12 ... .tls13,
        ciphers: [
            "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        ], suites: suites13, groups: groupsOfToday, prefersServerOrder: false)
}
