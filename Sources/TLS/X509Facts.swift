import COpenSSL
import PoiseModel

/// What a parsed certificate says of itself.
///
/// SAFETY: each takes a valid X509 that its caller holds; OpenSSL's strings are copied before they are freed.
enum X509Facts {
    static func names(of certificate: OpaquePointer) -> [String] {
        guard let raw = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(raw)
        defer { unsafe poise_names_free(names) }
        var found: [String] = []
        for index in 0..<(unsafe poise_names_count(names)) {
            var bytes: UnsafePointer<UInt8>?
            var count: CInt = 0
            let type = unsafe poise_names_at(names, index, &bytes, &count)
            guard let bytes = unsafe bytes, count > 0 else { continue }
            let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
            if type == GEN_DNS {
                found.append(String(decoding: text, as: UTF8.self).lowercased())
            } else if count == 4 {
                found.append(IPAddress(v4: text.reduce(0) { $0 << 8 | UInt32($1) }).description)
            } else if count == 16 {
                found.append(IPAddress(v6: text.reduce(0) { $0 << 8 | UInt128($1) }).description)
            }
        }
        return found
    }

    static func subject(of certificate: OpaquePointer) -> String {
        guard let text = unsafe X509_NAME_oneline(X509_get_subject_name(certificate), nil, 0) else { return "" }
        defer { unsafe poise_openssl_free(text) }
        return unsafe String(cString: text)
    }

    static func fingerprint(of certificate: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: CUnsignedInt = 0
        guard unsafe X509_digest(certificate, EVP_sha256(), &digest, &count) == 1 else { return "" }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest[..<Int(count)].flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Seconds since 1970.
    static func validity(of certificate: OpaquePointer) -> (notBefore: Int64, notAfter: Int64) {
        unsafe (
            seconds(X509_get0_notBefore(certificate)), seconds(X509_get0_notAfter(certificate))
        )
    }

    /// Seconds since 1970; 0 for what is no time.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
        let epoch = unsafe ASN1_TIME_set(nil, 0)
        defer { unsafe ASN1_STRING_free(epoch) }
        var (days, rest): (CInt, CInt) = (0, 0)
        guard unsafe ASN1_TIME_diff(&days, &rest, epoch, time) == 1 else { return 0 }
        return Int64(days) * 86_400 + Int64(rest)
    }

    static func keyKind(of key: OpaquePointer) -> Certificate.KeyKind? {
        let bits = unsafe Int(EVP_PKEY_get_bits(key))
        switch unsafe EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA, EVP_PKEY_RSA_PSS: return .rsa(bits: bits)
        case EVP_PKEY_EC: return .ecdsa(bits: bits)
        case EVP_PKEY_ED25519: return .ed25519
        case EVP_PKEY_ED448: return .ed448
        default: return nil
        }
    }

    /// OpenSSL's name of an elliptic key's curve; empty where it has none.
    static func curve(of key: OpaquePointer) -> String {
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else { return "" }
        return String(decoding: name[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
