import COpenSSL

/// Whether an OCSP response is fit to be stapled to a certificate. Its signature and age are the client's to judge.
///
/// SAFETY: OpenSSL reads within the bytes given, and what it allocates is freed in place.
enum OCSPCheck {
    /// - Throws: where the response is not a successful one, or speaks of other certificates only (by serial number).
    static func check(_ response: [UInt8], of certificate: OpaquePointer) throws(CertificateProblem) {
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
        let wanted = unsafe X509_get0_serialNumber(certificate)
        for index in 0..<(unsafe OCSP_resp_count(basic)) {
            var serial: UnsafeMutablePointer<ASN1_INTEGER>?
            let id = unsafe OCSP_SINGLERESP_get0_id(OCSP_resp_get0(basic, index))
            // SAFETY: the id belongs to the response; the call only reads it.
            _ = unsafe OCSP_id_get0_info(nil, nil, nil, &serial, OpaquePointer(UnsafeRawPointer(id)))
            if unsafe ASN1_INTEGER_cmp(serial, wanted) == 0 { return }
        }
        throw CertificateProblem(.ocspOfOtherCertificate)
    }
}
