import COpenSSL

/// Certificates and keys out of PEM text (RFC 7468, and the older forms that OpenSSL writes).
///
/// SAFETY: OpenSSL reads the bytes in place during `withUnsafeBytes`; what it allocates is freed or handed to the
/// caller, who owns it.
enum PEMReader {
    /// All certificates in their order, at least one. The caller owns the stack.
    static func certificates(in bytes: [UInt8]) throws(CertificateProblem) -> OpaquePointer {
        var issuers: [SharedIssuer] = []
        return try unsafe chain(in: bytes, issuers: &issuers)
    }

    /// The same. `issuers` are those behind the first; who holds them lets others find them.
    static func chain(
        in bytes: [UInt8], issuers: inout [SharedIssuer]
    ) throws(CertificateProblem) -> OpaquePointer {
        guard let stack = unsafe poise_x509_stack_new() else { throw CertificateProblem(.noCertificate) }
        var index = 0
        var problem: CertificateProblem?
        let damaged = unsafe eachBlock(of: bytes) { name, _, content in
            guard name == "CERTIFICATE" || name == "X509 CERTIFICATE" || name == "TRUSTED CERTIFICATE" else {
                return true
            }
            var parsed: OpaquePointer?
            if index > 0, name != "TRUSTED CERTIFICATE" {
                if let issuer = unsafe SharedIssuer.of(content) {
                    issuers.append(issuer)
                    unsafe X509_up_ref(issuer.raw)
                    unsafe parsed = unsafe issuer.raw
                }
            } else {
                var place = content.baseAddress
                unsafe parsed =
                    unsafe name == "TRUSTED CERTIFICATE"
                    ? d2i_X509_AUX(nil, &place, content.count) : d2i_X509(nil, &place, content.count)
            }
            guard let parsed = unsafe parsed, unsafe poise_x509_stack_push(stack, parsed) > 0 else {
                problem = CertificateProblem(.unreadableCertificate(index: index))
                return false
            }
            index += 1
            return true
        }
        if let damaged { problem = CertificateProblem(.unreadableBlock(line: damaged, ofKey: false)) }
        if problem == nil, index == 0 { problem = CertificateProblem(.noCertificate) }
        if let problem {
            unsafe poise_x509_stack_free(stack)
            throw problem
        }
        return unsafe stack
    }

    /// The first private key. The caller owns it.
    static func privateKey(in bytes: [UInt8], passphrase: [UInt8]?) throws(CertificateProblem) -> OpaquePointer {
        let kind = try kindOfKey(in: bytes)
        guard kind != .none else { throw CertificateProblem(.noKey) }
        if kind == .encrypted, passphrase == nil { throw CertificateProblem(.passphraseMissing) }
        if kind == .plain, let key = unsafe directKey(in: bytes) { return unsafe key }
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

    // MARK: The usual forms, read directly

    /// An unencrypted RSA or EC key; `nil` for anything else. OpenSSL 3 looks for a decoder of each key among all that it
    /// has, at the price of two milliseconds: 5,000 keys are to be read while a process starts.
    private static func directKey(in bytes: [UInt8]) -> OpaquePointer? {
        var key: OpaquePointer?
        _ = unsafe eachBlock(of: bytes) { name, _, content in
            guard name.hasSuffix("PRIVATE KEY") else { return true }
            switch name {
            case "EC PRIVATE KEY": unsafe key = unsafe ellipticKey(content, curve: nil)
            case "RSA PRIVATE KEY": unsafe key = unsafe rsaKey(content)
            case "PRIVATE KEY": unsafe key = unsafe wrappedKey(content)
            default: break
            }
            return false
        }
        ERR_clear_error()
        return unsafe key
    }

    /// RFC 5208 §5
    private static func wrappedKey(_ content: UnsafeBufferPointer<UInt8>) -> OpaquePointer? {
        var place = content.baseAddress
        guard let wrapped = unsafe d2i_PKCS8_PRIV_KEY_INFO(nil, &place, content.count) else { return nil }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(wrapped) }
        var (bytes, count): (UnsafePointer<UInt8>?, CInt) = (nil, 0)
        var algorithm: UnsafePointer<X509_ALGOR>?
        guard unsafe PKCS8_pkey_get0(nil, &bytes, &count, &algorithm, wrapped) == 1 else { return nil }
        let inner = unsafe UnsafeBufferPointer(start: bytes, count: Int(count))
        var (object, kind, value): (OpaquePointer?, CInt, UnsafeRawPointer?) = (nil, 0, nil)
        unsafe X509_ALGOR_get0(&object, &kind, &value, algorithm)
        switch unsafe OBJ_obj2nid(object) {
        case NID_rsaEncryption: return unsafe rsaKey(inner)
        case NID_X9_62_id_ecPublicKey where kind == V_ASN1_OBJECT:
            return unsafe ellipticKey(inner, curve: OBJ_obj2nid(OpaquePointer(value)))
        default: return nil
        }
    }

    /// RFC 8017 §A.1.2
    private static func rsaKey(_ content: UnsafeBufferPointer<UInt8>) -> OpaquePointer? {
        var place = content.baseAddress
        guard let rsa = unsafe d2i_RSAPrivateKey(nil, &place, content.count) else { return nil }
        let key = unsafe EVP_PKEY_new()
        if unsafe EVP_PKEY_assign(key, EVP_PKEY_RSA, UnsafeMutableRawPointer(rsa)) == 1 { return unsafe key }
        unsafe RSA_free(rsa)
        unsafe EVP_PKEY_free(key)
        return nil
    }

    /// RFC 5915 §3. `curve` is known from outside where the key does not name it.
    private static func ellipticKey(_ content: UnsafeBufferPointer<UInt8>, curve: CInt?) -> OpaquePointer? {
        var place = content.baseAddress
        var elliptic = unsafe curve.flatMap { unsafe EC_KEY_new_by_curve_name($0) }
        guard unsafe d2i_ECPrivateKey(&elliptic, &place, content.count) != nil, let made = unsafe elliptic else {
            unsafe EC_KEY_free(elliptic)
            return nil
        }
        let key = unsafe EVP_PKEY_new()
        if unsafe EVP_PKEY_assign(key, EVP_PKEY_EC, UnsafeMutableRawPointer(made)) == 1 { return unsafe key }
        unsafe EC_KEY_free(made)
        unsafe EVP_PKEY_free(key)
        return nil
    }

    private enum KeyForm { case none, plain, encrypted }

    private static func kindOfKey(in bytes: [UInt8]) throws(CertificateProblem) -> KeyForm {
        var found = KeyForm.none
        let damaged = unsafe eachBlock(of: bytes) { name, header, _ in
            guard name.hasSuffix("PRIVATE KEY") else { return true }
            found = name == "ENCRYPTED PRIVATE KEY" || header.contains("ENCRYPTED") ? .encrypted : .plain
            return false
        }
        if let damaged { throw CertificateProblem(.unreadableBlock(line: damaged, ofKey: true)) }
        return found
    }

    /// Calls `body` with each block's name, headers and content until it says `false`, or a block is damaged.
    ///
    /// - Returns: the line, from 1, that a damaged block begins in; `nil` without one.
    private static func eachBlock(
        of bytes: [UInt8], _ body: (_ name: String, _ header: String, _ content: UnsafeBufferPointer<UInt8>) -> Bool
    ) -> Int? {
        var blocks = 0
        let isDamaged = unsafe bytes.withUnsafeBytes { bytes in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { return false }
            defer { unsafe BIO_free(bio) }
            while true {
                var name: UnsafeMutablePointer<CChar>?
                var header: UnsafeMutablePointer<CChar>?
                var content: UnsafeMutablePointer<UInt8>?
                var count = 0
                guard unsafe PEM_read_bio(bio, &name, &header, &content, &count) == 1 else {
                    // Every other error than that there is no further block is one of a block that began.
                    let code = ERR_peek_last_error()
                    return poise_err_library(code) != ERR_LIB_PEM || poise_err_reason(code) != PEM_R_NO_START_LINE
                }
                blocks += 1
                defer {
                    unsafe poise_openssl_free(name)
                    unsafe poise_openssl_free(header)
                    unsafe poise_openssl_free(content)
                }
                guard let name = unsafe name, let header = unsafe header else { return false }
                let block = unsafe UnsafeBufferPointer(start: content, count: count)
                guard unsafe body(String(cString: name), String(cString: header), block) else { return false }
            }
        }
        return isDamaged ? line(ofBlock: blocks, in: bytes) : nil
    }

    /// The line, from 1, of the BEGIN of block `number`, from 0.
    private static func line(ofBlock number: Int, in bytes: [UInt8]) -> Int {
        var left = number
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where line.starts(with: "-----BEGIN ".utf8) {
            if left == 0 { return index + 1 }
            left -= 1
        }
        return lines.count
    }
}
