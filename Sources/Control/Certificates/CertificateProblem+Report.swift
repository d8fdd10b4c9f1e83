import PoiseConfig
import PoiseModel
import PoiseTLS
import PoiseTelemetry

extension CertificateProblem {
    /// For whoever has to put it right.
    var report: TLSFileProblem {
        TLSFileProblem(part, isWarning ? .warning : .error, problem: problem, fix: fix)
    }

    private var problem: String {
        switch kind {
        case .expired(let since): "\(self): on \(UTCDate.text(since))"
        case .notYetValid(let until): "\(self): it will be on \(UTCDate.text(until))"
        default: description
        }
    }

    private var part: TLSFileProblem.Part {
        switch kind {
        case .noKey, .unreadableKey, .unsupportedKey, .keyMismatch, .passphraseMissing: .key
        case .passphraseWrong: .passphrase
        case .ocspUnreadable, .ocspOfOtherCertificate: .ocsp
        case .noCertificate, .unreadableCertificate, .chainOrder, .noNames, .weakKey, .expired, .notYetValid:
            .certificate
        }
    }

    private var fix: String {
        switch kind {
        case .noCertificate, .unreadableCertificate: "name a PEM file: the certificate first, then its chain"
        case .noKey: "add the key to the file, or name its file with 'key'"
        case .unreadableKey: "name the PEM file of the key, as 'openssl pkey -in FILE -noout' reads it"
        case .passphraseMissing: "name a file whose first line opens the key: 'passphrase_file'"
        case .passphraseWrong: "write the passphrase into the first line of the file"
        case .unsupportedKey: "use a key of RSA, ECDSA or Ed25519"
        case .keyMismatch: "name the key that the certificate was made for"
        case .chainOrder: "put the certificate first, then its issuer, then the issuer's; the root is not needed"
        case .noNames: "have the certificate issued with its names as subject alternative names"
        case .weakKey: "have the certificate issued for a larger key"
        case .expired: "renew it: clients refuse it"
        case .notYetValid: "check the clock, or wait: clients refuse it until then"
        case .ocspUnreadable: "get it again: openssl ocsp … -respout FILE"
        case .ocspOfOtherCertificate: "get the response for this certificate"
        }
    }
}
