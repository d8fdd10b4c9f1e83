import COpenSSL

/// A certificate with its chain and its key, ready to be shown. Immutable; made by ``CertificateLoader``.
///
/// SAFETY: @unchecked Sendable holds because nothing changes after `init`; OpenSSL counts references atomically. The
/// references are this object's own and released in `deinit`.
@safe public final class Certificate: @unchecked Sendable {
    public enum KeyKind: Hashable, Sendable, CustomStringConvertible {
        case rsa(bits: Int)
        case ecdsa(bits: Int)
        case ed25519
        case ed448

        public var description: String {
            switch self {
            case .rsa(let bits): "RSA \(bits)"
            case .ecdsa(let bits): "ECDSA \(bits)"
            case .ed25519: "Ed25519"
            case .ed448: "Ed448"
            }
        }

        /// Certificates of one family take one another's place; those of two stand side by side under one name.
        var family: Int {
            switch self {
            case .rsa: 0
            case .ecdsa: 1
            case .ed25519: 2
            case .ed448: 3
            }
        }
    }

    /// DNS names (lower case, `*.` before a wildcard) and addresses of the subject alternative name.
    public let names: [String]
    /// The subject in one line, for logs.
    public let subject: String
    public let keyKind: KeyKind
    /// Seconds since 1970.
    public let notBefore: Int64
    public let notAfter: Int64
    /// SHA-256 of the certificate, 64 hexadecimal digits in lower case.
    public let fingerprint: String
    /// SHA-256 of all bytes that it was loaded from: equal bytes need no second load.
    public let contentDigest: [UInt8]
    /// `nil` without a response, or with one that is not fit to be shown: then ``stapleFault`` says why.
    let staple: OCSPStaple?
    private let stapleFault: CertificateProblem?

    let leaf: OpaquePointer
    let key: OpaquePointer
    /// Without the leaf.
    let chain: OpaquePointer
    /// Those of `chain` that others may share.
    let issuers: [SharedIssuer]

    /// Takes all three references over.
    init(
        leaf: OpaquePointer, key: OpaquePointer, keyKind: KeyKind, chain: OpaquePointer, issuers: [SharedIssuer] = [],
        contentDigest: [UInt8], staple: OCSPStaple? = nil, stapleFault: CertificateProblem? = nil
    ) {
        unsafe (self.leaf, self.key, self.chain) = unsafe (leaf, key, chain)
        (self.keyKind, self.issuers, self.contentDigest) = (keyKind, issuers, contentDigest)
        (self.staple, self.stapleFault) = (staple, stapleFault)
        names = unsafe X509Facts.names(of: leaf)
        subject = unsafe X509Facts.subject(of: leaf)
        fingerprint = unsafe X509Facts.fingerprint(of: leaf)
        (notBefore, notAfter) = unsafe X509Facts.validity(of: leaf)
    }

    deinit {
        unsafe X509_free(leaf)
        unsafe EVP_PKEY_free(key)
        unsafe poise_x509_stack_free(chain)
    }

    /// Why the OCSP response that it was loaded with is not sent at `now` (seconds since 1970); `nil` where it is, or
    /// there is none.
    public func ocspProblem(at now: Int64) -> CertificateProblem? { stapleFault ?? staple?.problem(at: now) }

    /// When its OCSP response runs out, in seconds since 1970; `nil` without one, or one that does not.
    public var ocspNextUpdate: Int64? { staple?.nextUpdate }

    func install(_ context: OpaquePointer) -> Bool {
        unsafe SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1
    }

    func install(onSession ssl: OpaquePointer) -> Bool {
        unsafe SSL_use_cert_and_key(ssl, leaf, key, chain, 1) == 1
    }
}
