/// The policies that a configuration may name.
extension SecurityPolicy {
    /// - Returns: `nil` for a name that is not in ``allNames``. Names are compared exactly, as ELB does.
    public static func named(_ name: String) -> SecurityPolicy? { all.first { $0.name == name } }

    /// In the order of the documentation: Mozilla's, then ELB's from the newest to the oldest.
    public static var allNames: [String] { all.map(\.name) }

    /// Those that need post-quantum groups (`-PQ-`), a FIPS module (`-FIPS-`) or 3DES (`TLS-1-0-2015-04`) are not here:
    /// OpenSSL 3.0 has none of these.
    public static let all = [intermediate, modern, old] + elastic

    // MARK: Mozilla, Server Side TLS 5.7

    /// TLS 1.3 alone: for clients of the last years.
    public static let modern = SecurityPolicy(
        "modern", .tls13 ... .tls13, ciphers: [], suites: suites13, groups: groupsOfToday, prefersServerOrder: false)

    /// For very old clients only: TLS 1.0 and CBC. Without 3DES, which OpenSSL 3 no longer has.
    public static let old = SecurityPolicy(
        "old", .tls10 ... .tls13,
        ciphers: intermediate.ciphers + [
            "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
            "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
            "DHE-RSA-AES128-SHA256", "DHE-RSA-AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
            "AES128-SHA256", "AES256-SHA256", "AES128-SHA", "AES256-SHA",
        ], suites: suites13, groups: groupsOfToday, prefersServerOrder: true)

    // MARK: ELB

    /// What of the same strength is allowed to look like; each level holds those before it.
    private enum Modes: Int, Comparable {
        case gcm, cbcWithSHA2, cbcWithSHA1
        static func < (a: Modes, b: Modes) -> Bool { a.rawValue < b.rawValue }
    }

    /// ELB's order: by key length, and within by mode; key exchange without forward secrecy last.
    private static func ciphers(_ modes: Modes, withoutForwardSecrecy plain: Modes? = nil) -> [String] {
        func ofLength(_ bits: Int, _ sha2: String, upTo modes: Modes, prefixes: [String]) -> [String] {
            var names = prefixes.map { "\($0)AES\(bits)-GCM-\(sha2)" }
            if modes >= .cbcWithSHA2 {
                // RSA key exchange has no suite with SHA-384 in CBC mode. RFC 5246 §A.5
                names += prefixes.map { "\($0)AES\(bits)-\($0.isEmpty ? "SHA256" : sha2)" }
            }
            if modes >= .cbcWithSHA1 { names += prefixes.map { "\($0)AES\(bits)-SHA" } }
            return names
        }
        let elliptic = ["ECDHE-ECDSA-", "ECDHE-RSA-"]
        var names = ofLength(128, "SHA256", upTo: modes, prefixes: elliptic)
        names += ofLength(256, "SHA384", upTo: modes, prefixes: elliptic)
        guard let plain else { return names }
        names += ofLength(128, "SHA256", upTo: plain, prefixes: [""])
        return names + ofLength(256, "SHA384", upTo: plain, prefixes: [""])
    }

    private static func elb(_ name: String, _ versions: ClosedRange<Version>, _ ciphers: [String]) -> SecurityPolicy {
        SecurityPolicy(
            "ELBSecurityPolicy-\(name)", versions, ciphers: ciphers,
            suites: versions.upperBound == .tls13 ? suites13 : [], groups: groupsOfToday, prefersServerOrder: true)
    }

    private static let elastic: [SecurityPolicy] = {
        let every = ciphers(.cbcWithSHA1, withoutForwardSecrecy: .cbcWithSHA1)
        let strong = ciphers(.cbcWithSHA2, withoutForwardSecrecy: .cbcWithSHA2)
        let secret = ciphers(.cbcWithSHA1)
        return [
            elb("TLS13-1-3-2021-06", .tls13 ... .tls13, []),
            elb("TLS13-1-2-Res-2021-06", .tls12 ... .tls13, ciphers(.gcm)),
            elb("TLS13-1-2-2021-06", .tls12 ... .tls13, ciphers(.cbcWithSHA2)),
            elb("TLS13-1-2-Ext1-2021-06", .tls12 ... .tls13, strong),
            elb("TLS13-1-2-Ext2-2021-06", .tls12 ... .tls13, every),
            elb("TLS13-1-1-2021-06", .tls11 ... .tls13, every),
            elb("TLS13-1-0-2021-06", .tls10 ... .tls13, every),
            elb("FS-1-2-Res-2020-10", .tls12 ... .tls12, ciphers(.gcm)),
            elb("FS-1-2-Res-2019-08", .tls12 ... .tls12, ciphers(.cbcWithSHA2)),
            elb("FS-1-2-2019-08", .tls12 ... .tls12, secret),
            elb("FS-1-1-2019-08", .tls11 ... .tls12, secret),
            elb("FS-2018-06", .tls10 ... .tls12, secret),
            elb("TLS-1-2-Ext-2018-06", .tls12 ... .tls12, every),
            elb("TLS-1-2-2017-01", .tls12 ... .tls12, strong),
            elb("TLS-1-1-2017-01", .tls11 ... .tls12, every),
            elb("2016-08", .tls10 ... .tls12, every),
        ]
    }()
}
