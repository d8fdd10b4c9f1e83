/// How a listener of protocol HTTPS speaks TLS.
public struct ListenerTLS: Sendable, Equatable {
    /// In the order of the file; the first is shown to clients that name no host, or one that no certificate is for.
    public var certificates: [CertificateFiles]
    public var policy = SecurityPolicy.intermediate
    public var alpn = ALPNPolicy.http2Preferred
    /// Ticket keys that several processes share, 48 bytes each or 80 as nginx has them; the first one seals, all open.
    /// `nil`: keys of our own, drawn at random and rotated, kept over an apply.
    public var ticketKeyFile: String?
    /// Tells targets `X-Amzn-Tls-Version` and `X-Amzn-Tls-Cipher-Suite`.
    public var tellsVersionAndCipher = false
    /// `nil`: no Strict-Transport-Security.
    public var strictTransport: StrictTransport?

    public init(certificates: [CertificateFiles]) { self.certificates = certificates }
}

/// A certificate with its chain and its key, as files. Paths are absolute.
public struct CertificateFiles: Sendable, Hashable {
    /// PEM: the certificate first, then its chain. May hold the key too.
    public var certificate: String
    /// PEM; `nil` where `certificate` is a bundle that holds it.
    public var key: String?
    /// The first line of this file opens an encrypted key.
    public var passphraseFile: String?
    /// DER of an OCSP response that is stapled; watched like the certificate.
    public var ocspFile: String?

    public init(certificate: String, key: String? = nil, passphraseFile: String? = nil, ocspFile: String? = nil) {
        (self.certificate, self.key) = (certificate, key)
        (self.passphraseFile, self.ocspFile) = (passphraseFile, ocspFile)
    }

    /// Made at start, for this process only: `poise run --tls self-signed`, `certificates: [self-signed]`.
    public static var selfSigned: CertificateFiles { CertificateFiles(certificate: "") }
    public var isSelfSigned: Bool { certificate.isEmpty }
}

/// Which protocols a listener agrees to by ALPN, in its order of preference. Names and meaning as ELBv2's.
public enum ALPNPolicy: String, Sendable, CaseIterable {
    case http1Only = "HTTP1Only"
    case http2Only = "HTTP2Only"
    /// HTTP/1.1 before HTTP/2.
    case http2Optional = "HTTP2Optional"
    /// HTTP/2 before HTTP/1.1.
    case http2Preferred = "HTTP2Preferred"
    /// No ALPN: HTTP/1.1.
    case none = "None"
}

/// `Strict-Transport-Security`. RFC 6797
public struct StrictTransport: Sendable, Equatable {
    /// Whole seconds. Zero tells browsers to forget.
    public var maxAge: Nanoseconds = .seconds(31_536_000)
    public var includesSubdomains = false
    public var preload = false
    public init() {}
}

/// How Poise speaks TLS to the targets of a group of protocol HTTPS.
public struct TargetTLS: Sendable, Equatable {
    /// Whether a target must prove who it is.
    public var verifies = true
    /// PEM of the authorities that are believed; `nil` for the system's.
    public var authorityFile: String?
    /// What the target's certificate must name; `nil`: the name that its address was written with, else the address.
    public var name: String?
    /// What is sent as SNI; `nil`: ``name``, where that is a name and no address.
    public var serverName: String?
    /// Shown to targets that ask for one.
    public var certificate: CertificateFiles?
    public var policy = SecurityPolicy.intermediate

    public init() {}
}
