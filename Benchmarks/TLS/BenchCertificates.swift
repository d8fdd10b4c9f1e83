import COpenSSL
import Glibc
import PoiseTLS

/// PEM of self-made certificates, each with a key and a name of its own.
enum BenchCertificates {
    static func make(_ count: Int) throws -> [CertificateLoader.Input] {
        (0..<count).map { number in
            let key = unsafe poise_p256_key_new()!
            let leaf = unsafe X509_new()!
            defer {
                unsafe X509_free(leaf)
                unsafe EVP_PKEY_free(key)
            }
            _ = unsafe X509_set_version(leaf, 2)
            _ = unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), UInt64(number + 1))
            _ = unsafe ASN1_TIME_set(X509_getm_notBefore(leaf), time(nil) - 3600)
            _ = unsafe ASN1_TIME_set(X509_getm_notAfter(leaf), time(nil) + 86_400)
            _ = unsafe X509_set_pubkey(leaf, key)
            let text = "DNS:host\(number).test"
            let names = unsafe X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, text)
            _ = unsafe X509_add_ext(leaf, names, -1)
            unsafe X509_EXTENSION_free(names)
            precondition(unsafe X509_sign(leaf, key, EVP_sha256()) > 0)
            let bio = unsafe BIO_new(BIO_s_mem())
            defer { unsafe BIO_free(bio) }
            _ = unsafe PEM_write_bio_X509(bio, leaf)
            _ = unsafe PEM_write_bio_PrivateKey(bio, key, nil, nil, 0, nil, nil)
            var bytes = [UInt8](repeating: 0, count: 1 << 14)
            let written = unsafe BIO_read(bio, &bytes, CInt(bytes.count))
            return CertificateLoader.Input(certificate: Array(bytes[..<Int(written)]))
        }
    }
}
