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
            case .unreadableBlock(_, let ofKey):
                (
                    ofKey ? .key : .certificate,
                    "take the file again from whoever made it: the text of the block, or its END line, is broken"
                )
            case .unreadableCertificate: (.certificate, "take the file again from whoever issued it")
            case .noKey: (.key, "name the file of the key as 'key', or put it into the file of the certificate")
            case .unreadableKey: (.key, "name a PEM file of a private key")
            case .passphraseMissing: (.key, "add 'passphrase_file', a file with the passphrase in its first line")
            case .passphraseWrong: (.passphrase, "put the passphrase of this key into the first line of the file")
            case .unsupportedKey: (.key, "use a key of RSA, ECDSA or Ed25519")
            case .keyMismatch: (.key, "name the key that the certificate was asked for with")
            case .chainOrder, .leafNotFirst:
                (.certificate, "put the certificate first, then the one that issued it, and so on")
            case .noNames: (.certificate, "no client finds it by name; have it issued with its names (SAN)")
            case .weakKey: (.key, "make a key of RSA with 2048 bits, or ECDSA with P-256")
            case .unusableCurve: (.key, "make a key with P-256 or P-384, and have the certificate issued for it")
            case .expired: (.certificate, "renew it; the new file serves the next handshake")
            case .notYetValid: (.certificate, "check the clock of this machine, or wait")
            case .ocspUnreadable, .ocspOfOtherCertificate, .ocspExpired:
                (.ocsp, "fetch the response for this certificate again; without it the certificate is shown alone")
            case .ocspSignature: (.ocsp, "fetch the response from the responder that the certificate names")
            case .ocspRevoked, .ocspUnknown: (.ocsp, "ask whoever issued the certificate, and have it issued anew")
            case .ocspNotYetValid: (.ocsp, "check the clock of this machine, or wait")
            }
        return TLSFileProblem(
            part, isWarning ? .warning : .error, code: code, problem: "\(self)\(day)", fix: fix)
    }

    private var code: ConfigError.Code {
        switch kind {
        case .expired, .notYetValid, .ocspExpired, .ocspNotYetValid: .expiry
        case .keyMismatch, .ocspOfOtherCertificate: .conflict
        case .noCertificate, .noKey, .passphraseMissing: .missing
        case .unreadableBlock, .unreadableCertificate, .unreadableKey, .passphraseWrong, .unsupportedKey, .chainOrder,
            .leafNotFirst, .noNames, .weakKey, .unusableCurve, .ocspUnreadable, .ocspSignature, .ocspRevoked,
            .ocspUnknown:
            .invalid
        }
    }

    /// What the words leave open.
    var day: String {
        switch kind {
        case .expired(let since), .ocspExpired(let since): ", on \(UTCText.day(since))"
        case .notYetValid(let until), .ocspNotYetValid(let until): ", only from \(UTCText.day(until)) on"
        default: ""
        }
    }
}

extension CertificateStore {
    /// A warning for each certificate that no client is ever shown, with its place in `files`: the files of
    /// ``certificates``, in their order.
    public func reports(of files: [CertificateFiles]) -> [(index: Int, problem: TLSFileProblem)] {
        hidden.map { hidden in
            let other = files[hidden.behind].isSelfSigned ? "self-signed" : files[hidden.behind].certificate
            return (
                hidden.index,
                TLSFileProblem(
                    .certificate, .warning, code: .conflict,
                    problem: "the certificate is never shown: '\(other)' before it has its name and its kind of key",
                    fix: "take one of the two away, or have this one issued for a name of its own")
            )
        }
    }
}

extension ConfigError.Code {
    /// Of warnings only: a certificate's time is over, nearly over, or not yet come.
    public static let expiry = Self(name: "expiry")
}
