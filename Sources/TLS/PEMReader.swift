import COpenSSL

/// Certificates and keys out of PEM text (RFC 7468, and the older forms that OpenSSL writes).
///
/// SAFETY: OpenSSL reads the bytes in place during `withUnsafeBytes`; what it allocates is freed or handed to the
/// caller, who owns it.
enum PEMReader {
    /// All certificates in their order, at least one. The caller owns the stack.
    static func certificates(in bytes: [UInt8]) throws(CertificateProblem) -> OpaquePointer {
        guard let stack = unsafe poise_x509_stack_new() else { throw CertificateProblem(.noCertificate) }
        var index = 0
        var problem: CertificateProblem?
        unsafe eachBlock(of: bytes) { name, _, content in
            guard name == "CERTIFICATE" || name == "X509 CERTIFICATE" || name == "TRUSTED CERTIFICATE" else {
                return true
            }
            var place = content.baseAddress
            let isTrusted = name == "TRUSTED CERTIFICATE"
            let parsed =
                unsafe isTrusted
                ? d2i_X509_AUX(nil, &place, content.count) : d2i_X509(nil, &place, content.count)
            guard let parsed = unsafe parsed, unsafe poise_x509_stack_push(stack, parsed) > 0 else {
                problem = CertificateProblem(.unreadableCertificate(index: index))
                return false
            }
            index += 1
            return true
        }
        if problem == nil, index == 0 { problem = CertificateProblem(.noCertificate) }
        if let problem {
            unsafe poise_x509_stack_free(stack)
            throw problem
        }
        return unsafe stack
    }

    /// The first private key. The caller owns it.
    static func privateKey(in bytes: [UInt8], passphrase: [UInt8]?) throws(CertificateProblem) -> OpaquePointer {
        let kind = kindOfKey(in: bytes)
        guard kind != .none else { throw CertificateProblem(.noKey) }
        if kind == .encrypted, passphrase == nil { throw CertificateProblem(.passphraseMissing) }
        let secret = passphrase ?? []
        let key = unsafe secret.withUnsafeBytes { secret in
            unsafe withUnsafePointer(to: secret) { secret in
                unsafe bytes.withUnsafeBytes { bytes in
                    guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else {
                        return unsafe nil as OpaquePointer?
                    }
                    defer { unsafe BIO_free(bio) }
                    return unsafe PEM_read_bio_PrivateKey(
                        bio, nil,
                        { room, count, _, secret in
                            guard let room = unsafe room, let secret = unsafe secret else { return -1 }
                            let bytes = unsafe secret.assumingMemoryBound(to: UnsafeRawBufferPointer.self).pointee
                            guard bytes.count <= count else { return -1 }
                            if let start = bytes.baseAddress {
                                unsafe UnsafeMutableRawPointer(room).copyMemory(from: start, byteCount: bytes.count)
                            }
                            return CInt(bytes.count)
                        }, UnsafeMutableRawPointer(mutating: secret))
                }
            }
        }
        if let key = unsafe key { return unsafe key }
        throw CertificateProblem(kind == .encrypted ? .passphraseWrong : .unreadableKey)
    }

    private enum KeyForm { case none, plain, encrypted }

    private static func kindOfKey(in bytes: [UInt8]) -> KeyForm {
        var found = KeyForm.none
        unsafe eachBlock(of: bytes) { name, header, _ in
            guard name.hasSuffix("PRIVATE KEY") else { return true }
            found = name == "ENCRYPTED PRIVATE KEY" || header.contains("ENCRYPTED") ? .encrypted : .plain
            return false
        }
        return found
    }

    /// Calls `body` with each block's name, headers and content until it says `false`, or a block is damaged.
    private static func eachBlock(
        of bytes: [UInt8], _ body: (_ name: String, _ header: String, _ content: UnsafeBufferPointer<UInt8>) -> Bool
    ) {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { return }
            defer { unsafe BIO_free(bio) }
            while true {
                var name: UnsafeMutablePointer<CChar>?
                var header: UnsafeMutablePointer<CChar>?
                var content: UnsafeMutablePointer<UInt8>?
                var count = 0
                guard unsafe PEM_read_bio(bio, &name, &header, &content, &count) == 1 else { return }
                defer {
                    unsafe poise_openssl_free(name)
                    unsafe poise_openssl_free(header)
                    unsafe poise_openssl_free(content)
                }
                guard let name = unsafe name, let header = unsafe header else { return }
                let block = unsafe UnsafeBufferPointer(start: content, count: count)
                guard unsafe body(String(cString: name), String(cString: header), block) else { return }
            }
        }
    }
}
