import COpenSSL
import PoiseLoop
import PoiseModel
import PoisePlatform

/// What the sessions of a listener share: policy, ALPN, certificates, ticket keys. Immutable: a renewed certificate is a
/// new context over the same keys.
///
/// SAFETY: the callbacks below run within a call of a session, which holds its context and has selected its wire.
public final class TLSServerContext: Sendable {
    public let certificates: CertificateStore
    let context: ContextHandle
    let tickets: TicketKeys
    /// ALPN's protocols in our order, each with its length before it; empty without ALPN.
    let protocols: [UInt8]
    /// Seconds since 1970.
    let wall: @Sendable () -> Int64

    /// - Parameters:
    ///   - scope: a ticket resumes only where scope, policy and ALPN are those that it was made with: the name of the
    ///     listener, and of what is asked of client certificates.
    ///   - wall: seconds since 1970; read where an OCSP response is to be stapled.
    /// - Throws: where this OpenSSL does not do what the policy asks.
    public init(
        policy: SecurityPolicy, alpn: ALPNPolicy, certificates: CertificateStore, tickets: TicketKeys, scope: String,
        wall: @escaping @Sendable () -> Int64 = { Clock.wall / 1_000_000_000 }
    ) throws(TLSSetupError) {
        (self.certificates, self.tickets, self.wall) = (certificates, tickets, wall)
        protocols = Self.protocols(of: alpn)
        context = try ContextHandle(server: true, policy: policy)
        let raw = unsafe context.raw
        _ = unsafe poise_ssl_ctx_set_session_cache_mode(raw, Int(SSL_SESS_CACHE_OFF))
        // One ticket per handshake: a client that opens several connections resumes all of them with it.
        unsafe SSL_CTX_set_num_tickets(raw, 1)
        let mark = SHA256.digest(of: Array("\(scope)\n\(policy.name)\n\(alpn.rawValue)".utf8))
        unsafe SSL_CTX_set_session_id_context(raw, mark, CUnsignedInt(mark.count))
        unsafe SSL_CTX_set_client_hello_cb(raw, { ssl, alert, _ in unsafe clientHello(ssl, alert) }, nil)
        unsafe SSL_CTX_set_tlsext_ticket_key_evp_cb(raw) { unsafe ticketKey($0, $1, $2, $3, $4, $5) }
        unsafe poise_ssl_ctx_set_status_callback(raw, { ssl, _ in unsafe staple(ssl) }, nil)
        if !protocols.isEmpty {
            unsafe SSL_CTX_set_alpn_select_cb(
                raw,
                { ssl, chosen, count, offered, offeredCount, _ in
                    unsafe selectProtocol(ssl, chosen, count, offered, offeredCount)
                }, nil)
        }
        // The default's certificates lie in the context, so that sessions for it set up nothing.
        if let entry = certificates.defaultEntry, unsafe !entry.install(raw) {
            throw TLSSetupError("policy '\(policy.name)': \(OpenSSLErrors.take())")
        }
    }

    private static func protocols(of policy: ALPNPolicy) -> [UInt8] {
        typealias Name = TLSSession.ApplicationProtocol
        let (http2, http11) = (Name.http2.wireName, Name.http11.wireName)
        return switch policy {
        case .http1Only: http11
        case .http2Only: http2
        case .http2Optional: http11 + http2
        case .http2Preferred: http2 + http11
        case .none: []
        }
    }
}

/// The context and wire of the session that OpenSSL calls about.
///
/// SAFETY: a server's session was selected before the call, and holds its context.
private func current(_ ssl: OpaquePointer?) -> (TLSServerContext, UnsafeMutablePointer<Wire>) {
    let wire = unsafe Wire.current(of: SSL_get_rbio(ssl))
    return unsafe (wire.pointee.server!.takeUnretainedValue(), wire)
}

/// Looks for the certificates of the name that the client asks for, before anything is chosen.
///
/// SAFETY: OpenSSL's pointers are valid during its callback; lengths are OpenSSL's own.
private func clientHello(_ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<CInt>?) -> CInt {
    let (server, wire) = unsafe current(ssl)
    var bytes: UnsafePointer<UInt8>?
    var count = 0
    var choice = 0
    if unsafe SSL_client_hello_get0_ext(ssl, CUnsignedInt(TLSEXT_TYPE_server_name), &bytes, &count) == 1,
        let bytes = unsafe bytes
    {
        // SAFETY: OpenSSL gives `count` bytes.
        let content = unsafe UnsafeBufferPointer(start: bytes, count: count)
        choice = unsafe server.certificates.choice(forServerNameExtension: content)
    }
    // What a session shows already: the default's, or what the hello before a retry led to.
    let shown = unsafe Int(wire.pointee.choice)
    unsafe wire.pointee.choice = Int32(choice)
    guard choice != shown, let ssl = unsafe ssl else { return SSL_CLIENT_HELLO_SUCCESS }
    if unsafe server.certificates.entries[choice].install(onSession: ssl) { return SSL_CLIENT_HELLO_SUCCESS }
    unsafe alert?.pointee = SSL_AD_INTERNAL_ERROR
    return SSL_CLIENT_HELLO_ERROR
}

/// Our first protocol that the client offers; none in common ends the handshake. RFC 7301 §3.2
///
/// SAFETY: OpenSSL's pointers are valid during its callback; lengths are OpenSSL's own.
private func selectProtocol(
    _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ count: UnsafeMutablePointer<UInt8>?,
    _ offered: UnsafePointer<UInt8>?, _ offeredCount: CUnsignedInt
) -> CInt {
    let (server, _) = unsafe current(ssl)
    var at = 0
    while at < server.protocols.count {
        let name = server.protocols[at + 1...at + Int(server.protocols[at])]
        var place = 0
        // SAFETY: OpenSSL has checked that the offered names fill `offeredCount` bytes exactly.
        while place < Int(offeredCount), let offered = unsafe offered {
            let length = unsafe Int(offered[place])
            if unsafe name.elementsEqual(UnsafeBufferPointer(start: offered + place + 1, count: length)) {
                unsafe chosen?.pointee = unsafe offered + place + 1
                unsafe count?.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            place += 1 + length
        }
        at += 1 + Int(server.protocols[at])
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// Seals or opens a ticket: the layout is OpenSSL's, the keys are ours.
///
/// SAFETY: OpenSSL's pointers are valid during its callback; lengths are OpenSSL's own.
private func ticketKey(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ nonce: UnsafeMutablePointer<UInt8>?,
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ seals: CInt
) -> CInt {
    guard let name = unsafe name, let nonce = unsafe nonce else { return -1 }
    let (server, wire) = unsafe current(ssl)
    let now = unsafe wire.pointee.loop._withUnsafeGuaranteedRef { $0.now }
    // SAFETY: OpenSSL has 16 bytes for the name and EVP_MAX_IV_LENGTH, 16, for the nonce.
    if seals == 1 {
        guard let key = server.tickets.sealing(at: now), unsafe RAND_bytes(nonce, 16) == 1 else { return -1 }
        unsafe name.update(from: key.name, count: 16)
        return unsafe key.set(cipher, mac, nonce, seals: true) ? 1 : -1
    }
    guard let found = unsafe server.tickets.opening(UnsafeBufferPointer(start: name, count: 16), at: now) else {
        return 0
    }
    guard unsafe found.key.set(cipher, mac, nonce, seals: false) else { return -1 }
    // TLS 1.3 has a new ticket anyway: one that was used once is not to be used again. RFC 8446 §C.4
    let isOld = unsafe SSL_version(ssl) != TLS1_3_VERSION
    return found.isCurrent && isOld ? 1 : 2
}

/// Adds the OCSP response of the certificate that was chosen, unless it has run out: some clients refuse such, and none
/// is better off with it.
///
/// SAFETY: OpenSSL's pointers are valid during its callback; lengths are OpenSSL's own.
private func staple(_ ssl: OpaquePointer?) -> CInt {
    let (server, wire) = unsafe current(ssl)
    guard let ssl = unsafe ssl, let chosen = unsafe SSL_get_certificate(ssl) else { return SSL_TLSEXT_ERR_NOACK }
    let entry = unsafe server.certificates.entries[Int(wire.pointee.choice)]
    guard let staple = unsafe entry.staple(for: chosen), staple.problem(at: server.wall()) == nil,
        let copy = unsafe poise_openssl_malloc(staple.response.count)
    else { return SSL_TLSEXT_ERR_NOACK }
    let response = staple.response
    // SAFETY: `copy` holds `response.count` bytes; OpenSSL frees it with the session.
    unsafe copy.copyMemory(from: response, byteCount: response.count)
    unsafe poise_ssl_set_ocsp_response(ssl, copy.assumingMemoryBound(to: UInt8.self), response.count)
    return SSL_TLSEXT_ERR_OK
}
