import COpenSSL

/// What a handshake agreed on. Read once per connection or exchange; nothing is stored.
///
/// SAFETY: `ssl` and `wire` live until ``free()``; after it there are no facts to be asked for.
extension TLSSession {
    public enum ApplicationProtocol: Sendable {
        case http11
        case http2
        /// The client did not offer any, or the policy is `None`.
        case none
    }

    /// What ALPN chose.
    public var applicationProtocol: ApplicationProtocol {
        guard let ssl = unsafe ssl else { return .none }
        var name: UnsafePointer<UInt8>?
        var count: CUnsignedInt = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name = unsafe name else { return .none }
        // SAFETY: OpenSSL gives `count` bytes at `name`.
        if count == 2, unsafe name[0] == 0x68 && name[1] == 0x32 { return .http2 }
        return count == 8 ? .http11 : .none
    }

    public enum Version: UInt8, Sendable {
        case tls10, tls11, tls12, tls13

        /// `TLSv1.3`, as nginx and ELB write it.
        public var name: StaticString {
            switch self {
            case .tls10: "TLSv1"
            case .tls11: "TLSv1.1"
            case .tls12: "TLSv1.2"
            case .tls13: "TLSv1.3"
            }
        }
    }

    public var version: Version {
        guard let ssl = unsafe ssl else { return .tls10 }
        return switch unsafe SSL_version(ssl) {
        case TLS1_3_VERSION: .tls13
        case TLS1_2_VERSION: .tls12
        case TLS1_1_VERSION: .tls11
        default: .tls10
        }
    }

    public var versionName: StaticString { version.name }

    /// OpenSSL's name of the cipher suite, as ELB has it: `ECDHE-ECDSA-AES128-GCM-SHA256`, `TLS_AES_128_GCM_SHA256`; empty
    /// before the handshake is done.
    public var cipherName: String {
        guard let ssl = unsafe ssl, let cipher = unsafe SSL_get_current_cipher(ssl) else { return "" }
        return unsafe engine.name(ofCipher: cipher)
    }

    /// The name that the client asked for, as it wrote it; `nil` without SNI.
    public var serverName: String? {
        guard let ssl = unsafe ssl else { return nil }
        // SAFETY: a string that lives as long as the session.
        return unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) }
    }

    /// Whether a ticket of an earlier session spared the key exchange's signature and the certificates.
    public var wasResumed: Bool { unsafe ssl != nil && SSL_session_reused(ssl) == 1 }

    /// Whether a request for `host` belongs on this connection: the certificate that the client's SNI led to is that of
    /// the host too. Without SNI it does. RFC 9110 §15.5.20
    public func holds(forHost host: String) -> Bool {
        guard serverName != nil, let server = context as? TLSServerContext else { return true }
        return server.certificates.choice(forHost: host) == certificateChoice
    }

    /// Which entry of the server's store the client's hello led to: equal numbers of one store are one certificate.
    public var certificateChoice: Int { unsafe Int(wire.pointee.choice) }
}
