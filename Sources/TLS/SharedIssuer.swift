import COpenSSL
import PoisePlatform

/// The certificate of an issuer, one in memory for all files that hold the same bytes: thousands of certificates have the
/// same few above them, of 6 KB each.
///
/// SAFETY: @unchecked Sendable holds because nobody changes the certificate after it was parsed; what OpenSSL remembers in
/// it, it does under a lock of its own. The reference is this object's own and released in `deinit`.
@safe final class SharedIssuer: @unchecked Sendable {
    let raw: OpaquePointer

    private init(_ raw: OpaquePointer) { unsafe self.raw = unsafe raw }

    deinit { unsafe X509_free(raw) }

    /// The one of these bytes that is in use, else a fresh one; `nil` where they are no certificate.
    ///
    /// SAFETY: OpenSSL reads within the bytes, during the call.
    static func of(_ content: UnsafeBufferPointer<UInt8>) -> SharedIssuer? {
        let digest = unsafe SHA256.digest(of: Array(content))
        if let known = table.withLock({ $0[digest] }) { return known }
        var place = content.baseAddress
        guard let parsed = unsafe d2i_X509(nil, &place, content.count) else { return nil }
        let fresh = unsafe SharedIssuer(parsed)
        // Another thread may have been faster.
        return table.withLock { $0.insert(fresh, digest) }
    }

    /// Those in use; who left is forgotten when the table would grow.
    private struct Table {
        private struct Entry {
            weak var issuer: SharedIssuer?
        }

        private var entries: [[UInt8]: Entry] = [:]
        private var countMax = 64

        subscript(digest: [UInt8]) -> SharedIssuer? { entries[digest]?.issuer }

        mutating func insert(_ issuer: SharedIssuer, _ digest: [UInt8]) -> SharedIssuer {
            if let known = entries[digest]?.issuer { return known }
            if entries.count >= countMax {
                entries = entries.filter { $0.value.issuer != nil }
                countMax = max(64, entries.count * 2)
            }
            entries[digest] = Entry(issuer: issuer)
            return issuer
        }
    }

    private static let table = Lock(Table())
}
