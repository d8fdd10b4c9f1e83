import PoiseModel
import PoiseTLS

/// Certificates, authorities and ticket keys in force, and the contexts that were made of them.
///
/// A value: what an apply prepares is dropped with its copy when the apply fails.
struct ShelfContents: Sendable {
    /// A server's context and what it was made of, its certificates aside, which it shows itself.
    struct ServerEntry: Sendable {
        let context: TLSServerContext
        let policy: SecurityPolicy
        let alpn: ALPNPolicy
        let tickets: TicketKeys

        func isMade(of certificates: [Certificate], _ tls: ListenerTLS, _ tickets: TicketKeys) -> Bool {
            policy == tls.policy && alpn == tls.alpn && self.tickets === tickets
                && context.certificates.certificates.elementsEqual(certificates, by: ===)
        }
    }

    /// What groups that share a context have in common: a context holds all of the system's authorities.
    struct ClientKey: Sendable, Hashable {
        let policy: SecurityPolicy
        let verifies: Bool
        let authorityFile: String?
        let certificate: CertificateFiles?
        let version: TargetGroup.HTTPVersion

        init(_ tls: TargetTLS, _ version: TargetGroup.HTTPVersion) {
            (policy, verifies, authorityFile) = (tls.policy, tls.verifies, tls.verifies ? tls.authorityFile : nil)
            (certificate, self.version) = (tls.certificate, version)
        }
    }

    struct ClientEntry: Sendable {
        let context: TLSClientContext
        let authorities: [UInt8]?
        let certificate: Certificate?
    }

    /// Ticket keys of a file, and its bytes.
    struct TicketKeyFile: Sendable {
        let bytes: [UInt8]
        let keys: TicketKeys
    }

    var certificates: [CertificateFiles: ShelfItem<Certificate>] = [:]
    var authorities: [String: ShelfItem<[UInt8]>] = [:]
    var ticketKeys: [String: ShelfItem<TicketKeyFile>] = [:]
    /// By the listener's id.
    var servers: [String: ServerEntry] = [:]
    var clients: [ClientKey: ClientEntry] = [:]
    /// Of this process, for listeners without a file of their own.
    let ownTicketKeys = TicketKeys()
    /// The same one while a listener asks for it, until it is old.
    var selfSigned: Certificate?

    /// The certificate in force.
    func certificate(of files: CertificateFiles) -> Certificate? {
        files.isSelfSigned ? selfSigned : certificates[files]?.value
    }
}

/// What a snapshot takes from the shelf.
struct TLSContexts: Sendable {
    /// By the listener's id.
    var listeners: [String: TLSServerContext] = [:]
    /// By the group's id.
    var groups: [String: TLSClientContext] = [:]
}
