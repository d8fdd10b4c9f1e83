import COpenSSL

/// The certificates of a listener, found by the name that a client asks for: exactly, by a wildcard of one label, else the
/// first. Immutable; shared by all workers.
///
/// Certificates of different key families under one name make an entry together; OpenSSL chooses by what the client
/// can verify.
public final class CertificateStore: Sendable {
    /// Certificates that are offered together, at most one of each key family.
    ///
    /// SAFETY: contexts and sessions come from their owners, who hold them during the call.
    struct Entry: Sendable {
        let certificates: [Certificate]

        func install(_ context: OpaquePointer) -> Bool {
            certificates.allSatisfy { unsafe $0.install(context) }
        }

        func install(onSession ssl: OpaquePointer) -> Bool {
            unsafe SSL_certs_clear(ssl)
            return certificates.allSatisfy { unsafe $0.install(onSession: ssl) }
        }

        /// `chosen` is compared by identity: it is one of the entry's own.
        func certificate(ofLeaf chosen: OpaquePointer?) -> Certificate? {
            certificates.first { unsafe $0.leaf == chosen }
        }

        /// Whether one of them is `certificate`, the very object.
        func shows(_ certificate: Certificate) -> Bool { certificates.contains { $0 === certificate } }
    }

    /// A certificate that no client is ever shown.
    public struct Hidden: Sendable, Equatable {
        /// Its place in ``certificates``.
        public let index: Int
        /// The place of the one before it that has its kind of key, and its first name; others have the rest.
        public let behind: Int
    }

    /// In the order given.
    public let certificates: [Certificate]
    /// Those all of whose names belong to certificates before them. Not those without any name, which are a warning of
    /// their own.
    public let hidden: [Hidden]
    /// The default is the first.
    let entries: [Entry]
    private let exact: [String: Int]
    /// By what follows `*.`.
    private let wildcards: [String: Int]
    private let byContent: [[UInt8]: Certificate]

    public init(_ certificates: [Certificate]) {
        self.certificates = certificates
        byContent = Dictionary(certificates.map { ($0.contentDigest, $0) }) { first, _ in first }
        var byName: [String: [Int]] = [:]
        for (index, certificate) in certificates.enumerated() {
            for name in certificate.names {
                let isNew = byName[name, default: []].allSatisfy {
                    certificates[$0].keyKind.family != certificate.keyKind.family
                }
                if isNew { byName[name, default: []].append(index) }
            }
        }
        let named = Set(byName.values.joined())
        hidden = certificates.indices.dropFirst().compactMap { index in
            guard !named.contains(index), let name = certificates[index].names.first else { return nil }
            let family = certificates[index].keyKind.family
            return byName[name]?.first { certificates[$0].keyKind.family == family }
                .map { Hidden(index: index, behind: $0) }
        }
        var members: [[Int]] = []
        var numbers: [[Int]: Int] = [:]
        func entry(of indices: [Int]) -> Int {
            if let number = numbers[indices] { return number }
            numbers[indices] = members.count
            members.append(indices)
            return members.count - 1
        }
        if let first = certificates.first { _ = entry(of: first.names.first.flatMap { byName[$0] } ?? [0]) }
        var (exact, wildcards): ([String: Int], [String: Int]) = ([:], [:])
        for (name, indices) in byName {
            if name.hasPrefix("*.") {
                wildcards[String(name.dropFirst(2))] = entry(of: indices)
            } else {
                exact[name] = entry(of: indices)
            }
        }
        (self.exact, self.wildcards) = (exact, wildcards)
        entries = members.map { Entry(certificates: $0.map { certificates[$0] }) }
    }

    var defaultEntry: Entry? { entries.first }

    /// A certificate that was loaded from the same bytes.
    public func certificate(withContentDigest digest: [UInt8]) -> Certificate? { byContent[digest] }

    /// The number of the entry for a host name, 0 for the default's. The final dot of a fully qualified name says
    /// nothing of it (RFC 1034 §3.1): certificates are written without (RFC 5280 §4.2.1.6).
    public func choice(forHost host: String) -> Int {
        var name = host.lowercased()
        if name.utf8.last == 0x2E { name.removeLast() }
        if let number = exact[name] { return number }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return 0 }
        return wildcards[String(name[name.index(after: dot)...])] ?? 0
    }

    /// The same for the content of a `server_name` extension. RFC 6066 §3
    ///
    /// SAFETY: `content` is read within its bounds.
    package func choice(forServerNameExtension content: UnsafeBufferPointer<UInt8>) -> Int {
        guard content.count > 5, unsafe content[2] == 0 else { return 0 }
        let count = unsafe Int(content[3]) << 8 | Int(content[4])
        guard count <= content.count - 5 else { return 0 }
        return unsafe choice(forHost: String(decoding: content[5..<5 + count], as: UTF8.self))
    }
}
