import COpenSSL

/// A certificate that nobody else vouches for, for trying things out.
public enum SelfSigned {
    /// `localhost`, every name under it, and the loopback addresses.
    public static let names = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1"
    private static let secondsValid = 30 * 86_400
    /// Long enough to wait out a machine that sleeps over a holiday.
    private static let secondsLeftMin: Int64 = 10 * 86_400

    /// Whether another should take its place at `now` (seconds since 1970): it has 10 of its 30 days left.
    public static func isOld(_ certificate: Certificate, at now: Int64) -> Bool {
        certificate.notAfter - now < secondsLeftMin
    }

    /// A fresh P-256 key and a certificate for ``names``, valid for 30 days from an hour before `now` (seconds since 1970).
    ///
    /// - Throws: where OpenSSL has no randomness or memory.
    public static func make(now: Int64) throws(TLSSetupError) -> Certificate {
        // SAFETY: both are owned here until the certificate takes them.
        guard let key = unsafe poise_p256_key_new() else { throw TLSSetupError("a key: \(OpenSSLErrors.take())") }
        guard let leaf = unsafe X509_new(), let chain = unsafe poise_x509_stack_new() else {
            throw TLSSetupError("a certificate: out of memory")
        }
        guard unsafe fill(leaf, key, now: now), unsafe X509_sign(leaf, key, EVP_sha256()) > 0 else {
            unsafe X509_free(leaf)
            unsafe EVP_PKEY_free(key)
            unsafe poise_x509_stack_free(chain)
            throw TLSSetupError("a certificate: \(OpenSSLErrors.take())")
        }
        return unsafe Certificate(
            leaf: leaf, key: key, keyKind: .ecdsa(bits: 256), chain: chain,
            contentDigest: SHA256.digest(of: Array("self-signed \(now)".utf8)))
    }

    /// SAFETY: everything set is copied or counted by OpenSSL.
    private static func fill(_ leaf: OpaquePointer, _ key: OpaquePointer, now: Int64) -> Bool {
        guard unsafe X509_set_version(leaf, 2) == 1,
            unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), UInt64.random(in: 1...(.max >> 1))) == 1,
            unsafe ASN1_TIME_set(X509_getm_notBefore(leaf), Int(now) - 3600) != nil,
            unsafe ASN1_TIME_set(X509_getm_notAfter(leaf), Int(now) + secondsValid) != nil,
            unsafe X509_set_pubkey(leaf, key) == 1
        else { return false }
        let subject = unsafe X509_get_subject_name(leaf)
        guard unsafe X509_NAME_add_entry_by_txt(subject, "CN", utf8Text, "localhost", -1, -1, 0) == 1,
            unsafe X509_set_issuer_name(leaf, subject) == 1
        else { return false }
        return [
            (NID_subject_alt_name, names), (NID_basic_constraints, "critical,CA:FALSE"),
            (NID_ext_key_usage, "serverAuth"),
        ].allSatisfy { number, text in
            guard let made = unsafe X509V3_EXT_conf_nid(nil, nil, number, text) else { return false }
            defer { unsafe X509_EXTENSION_free(made) }
            return unsafe X509_add_ext(leaf, made, -1) == 1
        }
    }

    private static let utf8Text: CInt = 0x1000
}
