import COpenSSL

/// Turns the bytes of certificate files into a ``Certificate``, or says what is wrong with them. Pure: no files, no
/// clock; safe on any thread.
///
/// SAFETY: what OpenSSL gives is owned by a local until a ``Certificate`` takes it, and freed on every other way out.
public enum CertificateLoader {
    public struct Input: Sendable {
        /// PEM: the certificate, then its chain; may hold the key too.
        public var certificate: [UInt8]
        /// PEM; `nil` where `certificate` holds it.
        public var key: [UInt8]?
        public var passphrase: [UInt8]?
        /// DER of an OCSP response.
        public var ocspResponse: [UInt8]?

        public init(
            certificate: [UInt8], key: [UInt8]? = nil, passphrase: [UInt8]? = nil, ocspResponse: [UInt8]? = nil
        ) {
            (self.certificate, self.key) = (certificate, key)
            (self.passphrase, self.ocspResponse) = (passphrase, ocspResponse)
        }

        /// SHA-256 of all parts, each with its length.
        public var digest: [UInt8] {
            var all: [UInt8] = []
            let parts = [certificate, key ?? [], passphrase ?? [], ocspResponse ?? []]
            all.reserveCapacity(parts.reduce(32) { $0 + $1.count })
            for part in parts {
                for shift in stride(from: 0, to: 64, by: 8) {
                    all.append(UInt8(truncatingIfNeeded: part.count >> shift))
                }
                all += part
            }
            return SHA256.digest(of: all)
        }
    }

    public struct Output: Sendable {
        /// `nil` where a problem is no mere warning.
        public let certificate: Certificate?
        public let problems: [CertificateProblem]
    }

    /// - Parameters:
    ///   - now: seconds since 1970, for expiry.
    ///   - previous: where equal bytes were loaded before, their certificate is used again.
    public static func load(_ input: Input, now: Int64, reusing previous: CertificateStore? = nil) -> Output {
        let digest = input.digest
        if let known = previous?.certificate(withContentDigest: digest) {
            return Output(certificate: known, problems: warnings(of: known, now: now))
        }
        defer { ERR_clear_error() }
        do throws(CertificateProblem) {
            let certificate = try parse(input, digest: digest, now: now)
            return Output(certificate: certificate, problems: warnings(of: certificate, now: now))
        } catch {
            return Output(certificate: nil, problems: [error])
        }
    }

    private static func warnings(of certificate: Certificate, now: Int64) -> [CertificateProblem] {
        var found: [CertificateProblem] = []
        if certificate.names.isEmpty { found.append(CertificateProblem(.noNames)) }
        if now >= certificate.notAfter { found.append(CertificateProblem(.expired(since: certificate.notAfter))) }
        if now < certificate.notBefore {
            found.append(CertificateProblem(.notYetValid(until: certificate.notBefore)))
        }
        if let problem = certificate.ocspProblem(at: now) { found.append(problem) }
        return found
    }

    /// P-256, P-384 and P-521, as OpenSSL calls them.
    private static let usableCurves = ["prime256v1", "secp384r1", "secp521r1"]

    private static func parse(
        _ input: Input, digest: [UInt8], now: Int64
    ) throws(CertificateProblem) -> Certificate {
        var issuers: [SharedIssuer] = []
        let chain = try unsafe PEMReader.chain(in: input.certificate, issuers: &issuers)
        var taken = false
        defer { if !taken { unsafe poise_x509_stack_free(chain) } }
        let key = try unsafe PEMReader.privateKey(in: input.key ?? input.certificate, passphrase: input.passphrase)
        defer { if !taken { unsafe EVP_PKEY_free(key) } }

        guard let kind = unsafe X509Facts.keyKind(of: key) else { throw CertificateProblem(.unsupportedKey) }
        let count = unsafe poise_x509_stack_count(chain)
        let owner = (0..<count).first { unsafe X509_check_private_key(poise_x509_stack_at(chain, $0), key) == 1 }
        guard let owner else { throw CertificateProblem(.keyMismatch) }
        guard owner == 0 else { throw CertificateProblem(.leafNotFirst(index: Int(owner))) }
        switch kind {
        case .rsa(let bits) where bits < 2048: throw CertificateProblem(.weakKey)
        case .ecdsa(let bits) where bits < 224: throw CertificateProblem(.weakKey)
        case .ecdsa:
            let curve = unsafe X509Facts.curve(of: key)
            guard usableCurves.contains(curve) else { throw CertificateProblem(.unusableCurve(name: curve)) }
        case .rsa, .ed25519, .ed448: break
        }
        for index in 1..<max(1, count) {
            let (subject, issuer) = unsafe (poise_x509_stack_at(chain, index - 1), poise_x509_stack_at(chain, index))
            guard unsafe X509_check_issued(issuer, subject) == X509_V_OK else {
                throw CertificateProblem(.chainOrder(index: Int(index) - 1))
            }
        }
        let (staple, fault) = try unsafe staple(input.ocspResponse, chain, now: now)
        // The stack becomes the chain without the leaf.
        guard let first = unsafe poise_x509_stack_shift(chain) else { throw CertificateProblem(.noCertificate) }
        taken = true
        return unsafe Certificate(
            leaf: first, key: key, keyKind: kind, chain: chain, issuers: issuers, contentDigest: digest, staple: staple,
            stapleFault: fault)
    }

    /// What can be stapled, or why what was given cannot.
    ///
    /// - Throws: where the file holds no response at all: somebody has named the wrong one, or it is half written.
    private static func staple(
        _ response: [UInt8]?, _ chain: OpaquePointer, now: Int64
    ) throws(CertificateProblem) -> (OCSPStaple?, CertificateProblem?) {
        guard let response else { return (nil, nil) }
        do throws(CertificateProblem) {
            return (try unsafe OCSPCheck.staple(response, chain: chain, now: now), nil)
        } catch {
            guard error.isWarning else { throw error }
            return (nil, error)
        }
    }
}
