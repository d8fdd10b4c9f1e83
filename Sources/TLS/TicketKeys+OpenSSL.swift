import COpenSSL

extension TicketKeys.Key {
    /// Fetched once: a fetch by name costs microseconds, and nothing else in a ticket does.
    ///
    /// SAFETY: immutable after they were fetched, never freed.
    private nonisolated(unsafe) static let aes128 = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
    private nonisolated(unsafe) static let aes256 = unsafe EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

    /// Sets both contexts up for one ticket.
    ///
    /// SAFETY: the contexts and 16 bytes of nonce are OpenSSL's, during its callback.
    func set(_ context: OpaquePointer?, _ mac: OpaquePointer?, _ nonce: UnsafePointer<UInt8>, seals: Bool) -> Bool {
        let kind = unsafe cipher.count == 32 ? Self.aes256 : Self.aes128
        guard unsafe EVP_CipherInit_ex2(context, kind, cipher, nonce, seals ? 1 : 0, nil) == 1 else { return false }
        // SAFETY: OpenSSL copies the key during the call.
        return unsafe poise_mac_set_hmac_sha256(mac, self.mac, self.mac.count) == 1
    }
}
