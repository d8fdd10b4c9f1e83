import COpenSSL
import Glibc

@testable import PoiseTLS

/// Makes keys and certificates for tests, fresh in each run: nothing in the repository expires.
/// SAFETY: @unchecked Sendable holds because nothing changes after `init`, and OpenSSL only reads.
@safe final class TestAuthority: @unchecked Sendable {
    enum Kind { case rsa, ecdsa }

    let key: OpaquePointer
    let certificate: OpaquePointer
    private let issuer: TestAuthority?

    static var now: Int64 { Int64(time(nil)) }

    /// A root, or with `issuer` an intermediate authority under it.
    init(_ name: String, issuer: TestAuthority? = nil) {
        self.issuer = issuer
        unsafe key = unsafe poise_p256_key_new()!
        unsafe certificate = unsafe Self.certificate(
            name, key: key, issuer: issuer, extensions: [(NID_basic_constraints, "critical,CA:TRUE")],
            valid: -3600..<86_400)
    }

    /// One whom `issuer` lets sign OCSP responses, and nothing else.
    init(responderOf issuer: TestAuthority) {
        self.issuer = issuer
        unsafe key = unsafe poise_p256_key_new()!
        unsafe certificate = unsafe Self.certificate(
            "responder", key: key, issuer: issuer,
            extensions: [(NID_basic_constraints, "critical,CA:FALSE"), (NID_ext_key_usage, "OCSPSigning")],
            valid: -3600..<86_400)
    }

    deinit {
        unsafe X509_free(certificate)
        unsafe EVP_PKEY_free(key)
    }

    var pem: [UInt8] { unsafe Self.pem(of: certificate) }

    /// PEM of a certificate for `names` (`DNS:a,IP:1.2.3.4`; empty for none) and its key, `valid` in seconds from now.
    func issue(
        _ names: String, _ kind: Kind = .ecdsa, bits: Int = 2048, valid: Range<Int64> = -3600..<86_400,
        passphrase: String? = nil, traditional: Bool = false
    ) -> (certificate: [UInt8], key: [UInt8]) {
        let key = unsafe kind == .ecdsa ? poise_p256_key_new()! : poise_rsa_key_new(CUnsignedInt(bits))!
        return unsafe issue(names, key: key, valid: valid, passphrase: passphrase, traditional: traditional)
    }

    /// The same for a key that was made already; takes it over.
    func issue(
        _ names: String, key: OpaquePointer, valid: Range<Int64> = -3600..<86_400, passphrase: String? = nil,
        traditional: Bool = false
    ) -> (certificate: [UInt8], key: [UInt8]) {
        defer { unsafe EVP_PKEY_free(key) }
        let made = unsafe Self.certificate(
            "leaf", key: key, issuer: self, extensions: names.isEmpty ? [] : [(NID_subject_alt_name, names)],
            valid: valid)
        defer { unsafe X509_free(made) }
        return unsafe (Self.pem(of: made), Self.pem(ofKey: key, passphrase, traditional: traditional))
    }

    /// A loaded certificate for `names`.
    func load(_ names: String, _ kind: Kind = .ecdsa, valid: Range<Int64> = -3600..<86_400) -> Certificate {
        let (certificate, key) = issue(names, kind, valid: valid)
        let chain = issuer == nil ? [] : pem
        let output = CertificateLoader.load(.init(certificate: certificate + chain, key: key), now: Self.now)
        return output.certificate!
    }

    private static func certificate(
        _ name: String, key: OpaquePointer, issuer: TestAuthority?, extensions: [(CInt, String)], valid: Range<Int64>
    ) -> OpaquePointer {
        let made = unsafe X509_new()!
        _ = unsafe X509_set_version(made, 2)
        _ = unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), UInt64.random(in: 1...(.max >> 1)))
        _ = unsafe ASN1_TIME_set(X509_getm_notBefore(made), Int(now + valid.lowerBound))
        _ = unsafe ASN1_TIME_set(X509_getm_notAfter(made), Int(now + valid.upperBound))
        _ = unsafe X509_set_pubkey(made, key)
        let subject = unsafe X509_get_subject_name(made)
        _ = unsafe X509_NAME_add_entry_by_txt(subject, "CN", 0x1000, name, -1, -1, 0)
        let issuerName = unsafe issuer.map { unsafe X509_get_subject_name($0.certificate) } ?? subject
        _ = unsafe X509_set_issuer_name(made, issuerName)
        for (number, text) in extensions {
            let made2 = unsafe X509V3_EXT_conf_nid(nil, nil, number, text)!
            _ = unsafe X509_add_ext(made, made2, -1)
            unsafe X509_EXTENSION_free(made2)
        }
        precondition(unsafe X509_sign(made, issuer?.key ?? key, EVP_sha256()) > 0)
        return unsafe made
    }

    static func pem(of certificate: OpaquePointer) -> [UInt8] {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        _ = unsafe PEM_write_bio_X509(bio, certificate)
        return unsafe drain(bio)
    }

    static func pem(ofKey key: OpaquePointer, _ passphrase: String?, traditional: Bool) -> [UInt8] {
        let bio = unsafe BIO_new(BIO_s_mem())
        defer { unsafe BIO_free(bio) }
        let cipher = unsafe passphrase == nil ? nil : EVP_aes_256_cbc()
        let secret = Array((passphrase ?? "").utf8)
        let count = CInt(secret.count)
        let written = unsafe secret.withUnsafeBufferPointer { secret in
            let start = passphrase == nil ? nil : secret.baseAddress
            return unsafe traditional
                ? PEM_write_bio_PrivateKey_traditional(bio, key, cipher, start, count, nil, nil)
                : PEM_write_bio_PrivateKey(bio, key, cipher, start, count, nil, nil)
        }
        precondition(written == 1)
        return unsafe drain(bio)
    }

    /// DER of an OCSP response about the first certificate of a PEM file that this authority issued.
    ///
    /// - Parameters:
    ///   - status: V_OCSP_CERTSTATUS_GOOD and so on.
    ///   - times: thisUpdate and nextUpdate, in seconds since 1970.
    ///   - signer: `nil` for this authority itself.
    func answer(
        about leaf: [UInt8], status: CInt = V_OCSP_CERTSTATUS_GOOD, times: (Int64, Int64?), signer: TestAuthority? = nil
    ) throws -> [UInt8] {
        let stack = try unsafe PEMReader.certificates(in: leaf)
        let basic = unsafe OCSP_BASICRESP_new()
        let this = unsafe ASN1_GENERALIZEDTIME_set(nil, Int(times.0))
        let next = unsafe times.1.flatMap { unsafe ASN1_GENERALIZEDTIME_set(nil, Int($0)) }
        defer {
            unsafe poise_x509_stack_free(stack)
            unsafe OCSP_BASICRESP_free(basic)
            unsafe ASN1_STRING_free(this)
            unsafe ASN1_STRING_free(next)
        }
        let id = unsafe OCSP_cert_to_id(EVP_sha1(), poise_x509_stack_at(stack, 0), certificate)
        defer { unsafe OCSP_CERTID_free(id) }
        let since = unsafe status == V_OCSP_CERTSTATUS_REVOKED ? this : nil
        precondition(unsafe OCSP_basic_add1_status(basic, id, status, 0, since, this, next) != nil)
        let by = signer ?? self
        precondition(unsafe OCSP_basic_sign(basic, by.certificate, by.key, EVP_sha256(), nil, 0) == 1)
        let response = unsafe OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic)
        defer { unsafe OCSP_RESPONSE_free(response) }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe i2d_OCSP_RESPONSE(response, &bytes)
        defer { unsafe poise_openssl_free(bytes) }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    private static func drain(_ bio: OpaquePointer?) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe BIO_read(bio, &bytes, CInt(bytes.count))
        return Array(bytes[..<Int(max(0, count))])
    }
}
