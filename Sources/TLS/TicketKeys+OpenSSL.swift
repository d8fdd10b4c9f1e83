import COpenSSL

extension TicketKeys.Key {
    /// Fetched once: a fetch by name costs microseconds, and nothing else in a ticket does.
    ///
    /// SAFETY: immutable after they were fetched, never freed.
    private nonisolated(unsafe) static let aes128 = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
    private nonisolated(unsafe) static let aes256 = unsafe EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

    /// Sets both contexts up for one ticket.
    func set(_ context: OpaquePointer?, _ mac: OpaquePointer?, _ nonce: UnsafePointer<UInt8>, seals: Bool) -> Bool {
        let kind = unsafe cipher.count == 32 ? Self.aes256 : Self.aes128
        guard unsafe EVP_CipherInit_ex2(context, kind, cipher, nonce, seals ? 1 : 0, nil) == 1 else { return false }
        var digest = Array("SHA256".utf8CString)
        var secret = self.mac
        // SAFETY: OpenSSL copies both during the call.
        return unsafe digest.withUnsafeMutableBufferPointer { digest in
            unsafe secret.withUnsafeMutableBytes { secret in
                let parameters = unsafe [
                    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.baseAddress, secret.count),
                    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.baseAddress, 0),
                    OSSL_PARAM_construct_end(),
                ]
                return unsafe EVP_MAC_CTX_set_params(mac, parameters) == 1
            }
        }
    }
}
