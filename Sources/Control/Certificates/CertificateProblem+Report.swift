import PoiseConfig
import PoiseModel
import PoiseTLS
import PoiseTelemetry

extension CertificateProblem {
    /// For whoever has to put it right.
    public var report: TLSFileProblem {
        let (part, fix): (TLSFileProblem.Part, String) =
            switch kind {
            case .noCertificate: (.certificate, "name a PEM file, the certificate first and its chain behind it")
            case .unreadableCertificate: (.certificate, "take the file again from whoever issued it")
            case .noKey: (.key, "name the file of the key as 'key', or put it into the file of the certificate")
            case .unreadableKey: (.key, "name a PEM file of a private key")
            case .passphraseMissing: (.key, "add 'passphrase_file', a file with the passphrase in its first line")
            case .passphraseWrong: (.passphrase, "put the passphrase of this key into the first line of the file")
            case .unsupportedKey: (.key, "use a key of RSA, ECDSA or Ed25519")
            case .keyMismatch: (.key, "name the key that the certificate was asked for with")
            case .chainOrder: (.certificate, "put the certificate first, then the one that issued it, and so on")
            case .noNames: (.certificate, "no client finds it by name; have it issued with its names (SAN)")
            case .weakKey: (.key, "make a key of RSA with 2048 bits, or ECDSA with P-256")
            case .expired: (.certificate, "renew it; the new file serves the next handshake")
            case .notYetValid: (.certificate, "check the clock of this machine, or wait")
            case .ocspUnreadable, .ocspOfOtherCertificate: (.ocsp, "fetch the response for this certificate again")
            }
        return TLSFileProblem(
            part, isWarning ? .warning : .error, code: code, problem: "\(self)\(day)", fix: fix)
    }

    private var code: ConfigError.Code {
        switch kind {
        case .expired, .notYetValid: .expiry
        case .keyMismatch, .ocspOfOtherCertificate: .conflict
        case .noCertificate, .noKey, .passphraseMissing: .missing
        case .unreadableCertificate, .unreadableKey, .passphraseWrong, .unsupportedKey, .chainOrder, .noNames,
            .weakKey, .ocspUnreadable:
            .invalid
        }
    }

    private var day: String {
        switch kind {
        case .expired(let since): ", on \(UTCText.day(since))"
        case .notYetValid(let until): ", only from \(UTCText.day(until)) on"
        default: ""
        }
    }
}

extension ConfigError.Code {
    /// Of warnings only: a certificate's time is over, nearly over, or not yet come.
    public static let expiry = Self(name: "expiry")
}
