import COpenSSL

/// An OCSP response that a certificate's owner may show, and when.
struct OCSPStaple: Sendable {
    /// DER.
    let response: [UInt8]
    /// Seconds since 1970.
    let thisUpdate: Int64
    /// `nil` where newer ones are to be had at any time: it does not grow old. RFC 6960 §4.2.2.1
    let nextUpdate: Int64?

    /// Clocks of responders may be ahead of ours.
    private static let leeway: Int64 = 300

    /// Why it must not be shown at `now` (seconds since 1970); `nil` where it may.
    func problem(at now: Int64) -> CertificateProblem? {
        if now < thisUpdate - Self.leeway { return CertificateProblem(.ocspNotYetValid(until: thisUpdate)) }
        if let nextUpdate, now >= nextUpdate { return CertificateProblem(.ocspExpired(since: nextUpdate)) }
        return nil
    }
}

/// Whether an OCSP response is fit to be stapled to a certificate: about this one, good, signed by who may.
///
/// SAFETY: OpenSSL reads within the bytes given; what it allocates is freed in place, what it lends belongs to the
/// response, which outlives its use.
enum OCSPCheck {
    /// - Parameters:
    ///   - chain: the certificate itself, then its issuers. Without an issuer in it the signature is the client's to judge.
    ///   - now: seconds since 1970, for the certificate that a responder signs with.
    static func staple(_ response: [UInt8], chain: OpaquePointer, now: Int64) throws(CertificateProblem) -> OCSPStaple {
        let parsed = unsafe response.withUnsafeBufferPointer {
            var place = $0.baseAddress
            // SAFETY: reads within `count` bytes.
            return unsafe d2i_OCSP_RESPONSE(nil, &place, $0.count)
        }
        guard let parsed = unsafe parsed else { throw CertificateProblem(.ocspUnreadable) }
        defer { unsafe OCSP_RESPONSE_free(parsed) }
        guard unsafe OCSP_response_status(parsed) == OCSP_RESPONSE_STATUS_SUCCESSFUL,
            let basic = unsafe OCSP_response_get1_basic(parsed)
        else { throw CertificateProblem(.ocspUnreadable) }
        defer { unsafe OCSP_BASICRESP_free(basic) }
        guard let single = unsafe answer(in: basic, chain) else {
            throw CertificateProblem(.ocspOfOtherCertificate)
        }
        guard unsafe isSigned(basic, chain, now: now) else { throw CertificateProblem(.ocspSignature) }
        var thisUpdate: UnsafeMutablePointer<ASN1_TIME>?
        var nextUpdate: UnsafeMutablePointer<ASN1_TIME>?
        switch unsafe OCSP_single_get0_status(single, nil, nil, &thisUpdate, &nextUpdate) {
        case V_OCSP_CERTSTATUS_GOOD: break
        case V_OCSP_CERTSTATUS_REVOKED: throw CertificateProblem(.ocspRevoked)
        default: throw CertificateProblem(.ocspUnknown)
        }
        return unsafe OCSPStaple(
            response: response, thisUpdate: X509Facts.seconds(thisUpdate),
            nextUpdate: nextUpdate.map { unsafe X509Facts.seconds($0) })
    }

    /// What the response says of the first certificate of `chain`; `nil` where it speaks of others only.
    private static func answer(in basic: OpaquePointer, _ chain: OpaquePointer) -> OpaquePointer? {
        guard let leaf = unsafe poise_x509_stack_at(chain, 0) else { return nil }
        let issuer = unsafe poise_x509_stack_at(chain, 1)
        for index in 0..<(unsafe OCSP_resp_count(basic)) {
            let single = unsafe OCSP_resp_get0(basic, index)
            // SAFETY: the id belongs to the response; the calls below only read it.
            let id = unsafe OpaquePointer(UnsafeRawPointer(OCSP_SINGLERESP_get0_id(single)))
            if let id = unsafe id, unsafe isOf(leaf, issuer, id) { return unsafe single }
        }
        return nil
    }

    /// Serial number, and the issuer's name and key as far as it is known, by the digest that the response uses.
    private static func isOf(_ leaf: OpaquePointer, _ issuer: OpaquePointer?, _ id: OpaquePointer) -> Bool {
        var serial: UnsafeMutablePointer<ASN1_INTEGER>?
        var name: UnsafeMutablePointer<ASN1_OCTET_STRING>?
        var algorithm: OpaquePointer?
        unsafe OCSP_id_get0_info(&name, &algorithm, nil, &serial, id)
        guard unsafe ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0,
            let digest = unsafe EVP_get_digestbyname(OBJ_nid2sn(OBJ_obj2nid(algorithm)))
        else { return false }
        if let issuer = unsafe issuer {
            guard let wanted = unsafe OCSP_cert_to_id(digest, leaf, issuer) else { return false }
            defer { unsafe OCSP_CERTID_free(wanted) }
            return unsafe OCSP_id_cmp(wanted, id) == 0
        }
        var wanted = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: CUnsignedInt = 0
        guard unsafe X509_NAME_digest(X509_get_issuer_name(leaf), digest, &wanted, &count) == 1,
            unsafe ASN1_STRING_length(name) == CInt(count)
        else { return false }
        let found = unsafe UnsafeBufferPointer(start: ASN1_STRING_get0_data(name), count: Int(count))
        return unsafe found.elementsEqual(wanted[..<Int(count)])
    }

    /// By the issuer, or by whom it has entrusted with that. RFC 6960 §4.2.2.2
    private static func isSigned(_ basic: OpaquePointer, _ chain: OpaquePointer, now: Int64) -> Bool {
        guard let issuer = unsafe poise_x509_stack_at(chain, 1) else { return true }
        guard let store = unsafe X509_STORE_new() else { return false }
        defer { unsafe X509_STORE_free(store) }
        guard unsafe X509_STORE_add_cert(store, issuer) == 1 else { return false }
        unsafe X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), Int(now))
        // The issuer is believed without its own issuers: it is the one that the certificate's owner named.
        return unsafe OCSP_basic_verify(basic, chain, store, CUnsignedLong(OCSP_PARTIAL_CHAIN)) == 1
    }
}
