import COpenSSL

/// Why a session failed.
public struct TLSFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// `rawValue` is the word for logs and metrics.
    public enum Reason: String, Sendable, CaseIterable {
        /// The connection was closed within the handshake.
        case peerClosed = "peer_closed"
        /// The socket failed; see ``errno``.
        case socket = "socket_error"
        /// OpenSSL found none for the session.
        case noMemory = "no_memory"
        /// The peer speaks HTTP without TLS: a server may answer in plain text on the channel.
        case plainHTTP = "plain_http"
        /// What came is no TLS.
        case notTLS = "not_tls"
        /// The two sides share no version.
        case protocolVersion = "protocol_version"
        case noSharedCipher = "no_shared_cipher"
        case noApplicationProtocol = "no_application_protocol"
        case certificateExpired = "certificate_expired"
        case certificateNotYetValid = "certificate_not_yet_valid"
        case certificateUnknownAuthority = "certificate_unknown_authority"
        case certificateSelfSigned = "certificate_self_signed"
        case certificateNameMismatch = "certificate_name_mismatch"
        case certificateRevoked = "certificate_revoked"
        /// The peer's certificate does not hold for another reason.
        case certificateInvalid = "certificate_invalid"
        /// The peer did not accept our certificate, or wanted one and got none.
        case ourCertificateRefused = "our_certificate_refused"
        /// The peer ended the handshake without saying more.
        case handshakeFailure = "handshake_failure"
        /// The peer sent another alert.
        case alert = "alert"
        /// The peer broke the protocol; a record that does not decrypt is one case.
        case protocolError = "protocol_error"
    }

    public let reason: Reason
    /// The socket's errno, where that is the reason.
    public let errno: CInt?
    /// OpenSSL's own code, 0 where there is none.
    let code: UInt

    public init(_ reason: Reason) { self.init(reason, code: 0) }

    init(_ reason: Reason, code: UInt = 0, errno: CInt? = nil) {
        (self.reason, self.code, self.errno) = (reason, code, errno)
    }

    static func socket(_ code: CInt) -> TLSFailure { TLSFailure(.socket, errno: code) }

    /// The reason, and OpenSSL's words where it has some: `certificate_expired (certificate verify failed)`.
    public var description: String {
        if let errno { return "\(reason.rawValue) (errno \(errno))" }
        // SAFETY: a constant string of OpenSSL's.
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return reason.rawValue }
        return unsafe "\(reason.rawValue) (\(String(cString: text)))"
    }
}

/// SAFETY: the session is handed in by ``TLSSession``, which owns it; its state is only read.
extension TLSFailure {
    /// What OpenSSL's error queue says; empties it.
    ///
    /// - Parameter isAnswered: whether OpenSSL has written something about it, an alert.
    static func takeFromQueue(_ ssl: OpaquePointer, isAnswered: Bool) -> TLSFailure {
        // The first error is the cause; those after it are its consequences.
        var code = ERR_get_error()
        while code != 0, poise_err_library(code) != ERR_LIB_SSL {
            let next = ERR_get_error()
            if next == 0 { break }
            code = next
        }
        ERR_clear_error()
        let isOfTLS = poise_err_library(code) == ERR_LIB_SSL
        guard isOfTLS, let reason = unsafe reason(of: poise_err_reason(code), ssl, isAnswered) else {
            return TLSFailure(.protocolError, code: code)
        }
        return TLSFailure(reason, code: code)
    }

    private static func reason(of number: CInt, _ ssl: OpaquePointer, _ isAnswered: Bool) -> Reason? {
        switch number {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: return .plainHTTP
        case SSL_R_WRONG_VERSION_NUMBER:
            // OpenSSL's word for a first record that is none, too. Only that one gets no alert: behind a beginning of
            // TLS, who sends something else has broken the protocol.
            return unsafe !isAnswered && SSL_get_current_cipher(ssl) == nil ? .notTLS : .protocolError
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE,
            alert(SSL_AD_PROTOCOL_VERSION):
            return .protocolVersion
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_NO_SUITABLE_GROUPS:
            return .noSharedCipher
        case SSL_R_NO_APPLICATION_PROTOCOL, alert(SSL_AD_NO_APPLICATION_PROTOCOL): return .noApplicationProtocol
        case SSL_R_CERTIFICATE_VERIFY_FAILED: return verification(unsafe SSL_get_verify_result(ssl))
        case alert(SSL_AD_BAD_CERTIFICATE), alert(SSL_AD_UNSUPPORTED_CERTIFICATE), alert(SSL_AD_CERTIFICATE_REVOKED),
            alert(SSL_AD_CERTIFICATE_EXPIRED), alert(SSL_AD_CERTIFICATE_UNKNOWN), alert(SSL_AD_UNKNOWN_CA),
            alert(SSL_AD_ACCESS_DENIED), alert(SSL_AD_CERTIFICATE_REQUIRED), alert(noCertificateAlert):
            return .ourCertificateRefused
        case alert(SSL_AD_HANDSHAKE_FAILURE), alert(SSL_AD_INSUFFICIENT_SECURITY): return .handshakeFailure
        case SSL_AD_REASON_OFFSET..<SSL_AD_REASON_OFFSET + 256: return .alert
        default: return nil
        }
    }

    private static let noCertificateAlert: CInt = 41

    /// An alert that came has its number, 1000 higher.
    private static func alert(_ number: CInt) -> CInt { SSL_AD_REASON_OFFSET + number }

    private static func verification(_ result: Int) -> Reason {
        switch CInt(truncatingIfNeeded: result) {
        case X509_V_ERR_CERT_HAS_EXPIRED: .certificateExpired
        case X509_V_ERR_CERT_NOT_YET_VALID: .certificateNotYetValid
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            .certificateUnknownAuthority
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: .certificateSelfSigned
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .certificateNameMismatch
        case X509_V_ERR_CERT_REVOKED: .certificateRevoked
        default: .certificateInvalid
        }
    }
}
