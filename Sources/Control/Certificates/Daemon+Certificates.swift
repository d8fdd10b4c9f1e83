import PoiseModel
import PoiseTLS
import PoiseTelemetry

/// From certificate files to what the workers show.
extension Daemon {
    /// At the commit: what was prepared is in force, and told.
    func adopt(_ preparation: ShelfPreparation) {
        shelf.adopt(preparation)
        for news in preparation.news { log(OperationalEvent(news)) }
    }
}

extension OperationalEvent {
    init(_ news: ShelfPreparation.News) {
        switch news {
        case .renewed(let file, let certificate):
            self.init(.info, "a certificate was renewed", [("file", file)] + Self.fields(of: certificate))
        case .fileRenewed(let file): self.init(.info, "a file of TLS was read anew", [("file", file)])
        case .kept(let file, let problem):
            self.init(
                .error, "a file of TLS cannot be used, what it held is kept", [("file", file), ("reason", problem)])
        case .selfSigned(let certificate):
            self.init(.info, "a self-signed certificate was made", Self.fields(of: certificate))
        }
    }

    /// What tells a certificate from another.
    static func fields(of certificate: Certificate) -> [(name: String, value: String)] {
        let shown = certificate.names.prefix(4).joined(separator: ",")
        return [
            ("names", certificate.names.count > 4 ? "\(shown),… (\(certificate.names.count))" : shown),
            ("key", "\(certificate.keyKind)"), ("fingerprint", certificate.fingerprint),
            ("expires", UTCDate.text(certificate.notAfter)),
        ]
    }
}
