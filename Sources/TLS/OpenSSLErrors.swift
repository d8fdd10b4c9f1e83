import COpenSSL

/// The error queue of the calling thread.
enum OpenSSLErrors {
    /// The first error in words; empties the queue.
    static func take() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        // SAFETY: a constant string of OpenSSL's.
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return "unknown" }
        return unsafe String(cString: text)
    }
}

enum SHA256 {
    /// 32 bytes.
    static func digest(of bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        // SAFETY: 32 bytes are written.
        _ = unsafe COpenSSL.SHA256(bytes, bytes.count, &digest)
        return digest
    }
}
