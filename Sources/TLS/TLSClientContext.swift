import COpenSSL
import PoiseLoop
import PoiseModel

/// What the sessions towards the targets of a group share: policy, authorities, our certificate. Immutable.
///
/// SAFETY: `context` owns the SSL_CTX; sessions are handed in by ``TLSSession``, which owns them. OpenSSL copies names.
public final class TLSClientContext: Sendable {
    public enum Verification: Sendable {
        /// The system's authorities.
        case system
        /// PEM of the authorities that are believed, and no others.
        case authorities([UInt8])
        /// Whoever answers is believed.
        case off
    }

    let context: ContextHandle
    private let verifies: Bool

    /// - Parameters:
    ///   - certificate: shown to a target that asks for one.
    ///   - protocols: what ALPN offers, the preferred first.
    /// - Throws: where the authorities are unreadable or this OpenSSL does not do what the policy asks.
    public init(
        policy: SecurityPolicy, verification: Verification, certificate: Certificate? = nil,
        protocols: [TLSSession.ApplicationProtocol]
    ) throws(TLSSetupError) {
        context = try ContextHandle(server: false, policy: policy)
        let raw = unsafe context.raw
        switch verification {
        case .off: verifies = false
        case .system:
            verifies = true
            guard unsafe SSL_CTX_set_default_verify_paths(raw) == 1 else {
                throw TLSSetupError("the system's authorities: \(OpenSSLErrors.take())")
            }
        case .authorities(let bytes):
            verifies = true
            try unsafe Self.trust(bytes, raw)
        }
        unsafe SSL_CTX_set_verify(raw, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        if let certificate, unsafe !certificate.install(raw) {
            throw TLSSetupError("the certificate for targets: \(OpenSSLErrors.take())")
        }
        let offered = protocols.flatMap { $0.wireName }
        if !offered.isEmpty { _ = unsafe SSL_CTX_set_alpn_protos(raw, offered, CUnsignedInt(offered.count)) }
        // OpenSSL keeps no sessions; a slot per target does.
        let mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR
        _ = unsafe poise_ssl_ctx_set_session_cache_mode(raw, Int(mode))
        unsafe SSL_CTX_sess_set_new_cb(raw) { ssl, session in
            // SAFETY: the session that reads holds its slot and has selected its wire.
            let wire = unsafe Wire.current(of: SSL_get_rbio(ssl))
            guard let slot = unsafe wire.pointee.slot, let session = unsafe session else { return 0 }
            unsafe slot._withUnsafeGuaranteedRef { unsafe $0.keep(session) }
            return 1
        }
    }

    private static func trust(_ bytes: [UInt8], _ context: OpaquePointer) throws(TLSSetupError) {
        let stack: OpaquePointer
        do throws(CertificateProblem) {
            unsafe stack = try unsafe PEMReader.certificates(in: bytes)
        } catch {
            throw TLSSetupError("authorities: \(error)")
        }
        defer { unsafe poise_x509_stack_free(stack) }
        let store = unsafe SSL_CTX_get_cert_store(context)
        for index in 0..<(unsafe poise_x509_stack_count(stack)) {
            guard unsafe X509_STORE_add_cert(store, poise_x509_stack_at(stack, index)) == 1 else {
                throw TLSSetupError("authorities: \(OpenSSLErrors.take())")
            }
        }
        // An intermediate that is named as an authority is one, without its root.
        _ = unsafe X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), CUnsignedLong(X509_V_FLAG_PARTIAL_CHAIN))
    }

    /// Sets name and session up for one connection.
    func prepare(_ ssl: OpaquePointer, for peer: TLSPeer) {
        if let name = peer.serverName { _ = unsafe poise_ssl_set_host_name(ssl, name) }
        if verifies {
            switch peer.expectedName {
            case .name(let name):
                unsafe SSL_set_hostflags(ssl, CUnsignedInt(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
                // A name that cannot be set must not verify: nothing is called this.
                if unsafe SSL_set1_host(ssl, name) != 1 { _ = unsafe SSL_set1_host(ssl, "invalid.") }
            case .address(let address):
                let text = address.description
                if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) != 1 {
                    _ = unsafe SSL_set1_host(ssl, "invalid.")
                }
            }
        }
        if let offers = peer.offers {
            let names = offers.flatMap { $0.wireName }
            _ = unsafe SSL_set_alpn_protos(ssl, names, CUnsignedInt(names.count))
        }
        if let session = unsafe peer.resumption?.session(for: self) {
            _ = unsafe SSL_set_session(ssl, session)
        }
        peer.resumption?.use(self)
    }
}

/// Whom a client's session speaks to.
public struct TLSPeer {
    public enum ExpectedName: Sendable, Hashable {
        case name(String)
        case address(IPAddress)
    }

    /// What SNI says; `nil`: nothing.
    public let serverName: String?
    /// What the certificate must name.
    public let expectedName: ExpectedName
    /// Keeps the last session of this target on this worker; `nil`: none is resumed.
    public let resumption: ResumptionSlot?
    /// What ALPN offers instead of the context's protocols, the preferred first; `nil`: those.
    public let offers: [TLSSession.ApplicationProtocol]?

    public init(
        serverName: String?, expectedName: ExpectedName, resumption: ResumptionSlot? = nil,
        offers: [TLSSession.ApplicationProtocol]? = nil
    ) {
        (self.serverName, self.expectedName) = (serverName, expectedName)
        (self.resumption, self.offers) = (resumption, offers)
    }
}

/// The last session that a target gave a ticket for. One per target and worker.
///
/// SAFETY: `last` is owned: freed when replaced, and in `deinit`.
@safe public final class ResumptionSlot {
    private var last: OpaquePointer?
    /// What it was made under. Held, so that no later context can be taken for it.
    private var owner: TLSClientContext?

    public init() {}

    deinit { unsafe SSL_SESSION_free(last) }

    /// Takes the reference over.
    func keep(_ session: OpaquePointer) {
        unsafe SSL_SESSION_free(last)
        unsafe last = unsafe session
    }

    /// The session to resume, unless it was made under another context: that verified by other rules.
    func session(for context: TLSClientContext) -> OpaquePointer? {
        guard owner === context, let last = unsafe last, unsafe SSL_SESSION_is_resumable(last) == 1 else { return nil }
        return unsafe last
    }

    func use(_ context: TLSClientContext) {
        guard owner !== context else { return }
        unsafe SSL_SESSION_free(last)
        unsafe last = nil
        owner = context
    }
}

@available(*, unavailable)
extension ResumptionSlot: Sendable {}

extension TLSSession.ApplicationProtocol {
    /// The protocol's ALPN name behind its length; nothing for ``none``. RFC 7301 §3.1
    var wireName: [UInt8] {
        switch self {
        case .http11: [8] + Array("http/1.1".utf8)
        case .http2: [2] + Array("h2".utf8)
        case .none: []
        }
    }
}
