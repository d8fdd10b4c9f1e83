import COpenSSL
import PoiseModel

/// An SSL_CTX: what OpenSSL shares between sessions.
///
/// SAFETY: @unchecked Sendable holds because it is set up by one thread before it is handed on, and changed by none
/// afterwards; OpenSSL counts references to it atomically. Freed in `deinit`; sessions hold references of their own.
@safe final class ContextHandle: @unchecked Sendable {
    let raw: OpaquePointer

    /// - Throws: ``TLSSetupError`` where this OpenSSL does not know a name of the policy.
    init(server: Bool, policy: SecurityPolicy) throws(TLSSetupError) {
        guard let context = unsafe SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()) else {
            throw TLSSetupError("OpenSSL has no memory for a context")
        }
        unsafe raw = unsafe context
        try apply(policy, server: server)
        // No record buffer stays with an idle session: 33 KB each.
        _ = unsafe poise_ssl_ctx_set_mode(raw, Int(SSL_MODE_RELEASE_BUFFERS))
    }

    deinit { unsafe SSL_CTX_free(raw) }

    private func apply(_ policy: SecurityPolicy, server: Bool) throws(TLSSetupError) {
        var options = server ? poise_ssl_op_server() : poise_ssl_op_client()
        if policy.prefersServerOrder { options |= poise_ssl_op_prefers_server_order() }
        _ = unsafe SSL_CTX_set_options(raw, options)
        // TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL 3 does at level 0 only.
        unsafe SSL_CTX_set_security_level(raw, policy.versionMin < .tls12 ? 0 : 2)
        let (lowest, highest) = (CInt(policy.versionMin.rawValue), CInt(policy.versionMax.rawValue))
        guard unsafe poise_ssl_ctx_set_versions(raw, lowest, highest) == 1 else {
            throw TLSSetupError("policy '\(policy.name)': OpenSSL refuses its versions")
        }
        if !policy.ciphers.isEmpty, unsafe SSL_CTX_set_cipher_list(raw, policy.ciphers.joined(separator: ":")) != 1 {
            throw TLSSetupError("policy '\(policy.name)': OpenSSL knows none of its ciphers")
        }
        if !policy.suites.isEmpty, unsafe SSL_CTX_set_ciphersuites(raw, policy.suites.joined(separator: ":")) != 1 {
            throw TLSSetupError("policy '\(policy.name)': OpenSSL does not know its TLS 1.3 suites")
        }
        guard unsafe poise_ssl_ctx_set_groups(raw, policy.groups.joined(separator: ":")) == 1 else {
            throw TLSSetupError("policy '\(policy.name)': OpenSSL does not know its groups")
        }
        if server, policy.ciphers.contains(where: { $0.hasPrefix("DHE-") }) { unsafe poise_ssl_ctx_set_dh_auto(raw) }
        ERR_clear_error()
    }

    /// A session that reads and writes through `engine`'s BIO; `nil` where there is no memory for one.
    func newSession(_ engine: TLSEngine) -> OpaquePointer? {
        guard let ssl = unsafe SSL_new(raw) else {
            ERR_clear_error()
            return nil
        }
        // SAFETY: SSL_set_bio takes one reference for both directions.
        unsafe BIO_up_ref(engine.bio)
        unsafe SSL_set_bio(ssl, engine.bio, engine.bio)
        return unsafe ssl
    }
}

/// A setting that this OpenSSL does not do.
public struct TLSSetupError: Error, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
