/// What is wrong with a certificate's files.
public struct CertificateProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// There is no PEM block of a certificate.
        case noCertificate
        /// The block that begins in `line` (from 1) has no valid base64, or no end.
        case unreadableBlock(line: Int, ofKey: Bool)
        /// Block `index` (from 0) of the chain is no X.509 certificate.
        case unreadableCertificate(index: Int)
        case noKey
        case unreadableKey
        case passphraseMissing
        case passphraseWrong
        case unsupportedKey
        /// The key is not that of the first certificate, nor of another.
        case keyMismatch
        /// The key is that of certificate `index` (from 1: not the first).
        case leafNotFirst(index: Int)
        /// Certificate `index` of the chain is not issued by the one after it.
        case chainOrder(index: Int)
        /// There is no subject alternative name: no client finds it by name.
        case noNames
        /// RSA under 2048 bits, curves under 224: refused by clients and by OpenSSL.
        case weakKey
        /// An ECDSA key on a curve that clients do not take: those of RFC 8422 §5.1.1 that RFC 8446 §4.2.3 has kept are
        /// P-256, P-384 and P-521. `name` is OpenSSL's, empty for one without.
        case unusableCurve(name: String)
        /// Seconds since 1970.
        case expired(since: Int64)
        case notYetValid(until: Int64)
        case ocspUnreadable
        /// As it is between a renewal of the certificate and the next response.
        case ocspOfOtherCertificate
        case ocspSignature
        case ocspRevoked
        /// The responder does not know the certificate.
        case ocspUnknown
        case ocspExpired(since: Int64)
        case ocspNotYetValid(until: Int64)
    }

    public let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    /// A warning leaves the certificate usable; one about an OCSP response, without it.
    public var isWarning: Bool {
        switch kind {
        case .noNames, .expired, .notYetValid, .ocspOfOtherCertificate, .ocspSignature, .ocspRevoked, .ocspUnknown,
            .ocspExpired, .ocspNotYetValid:
            true
        default: false
        }
    }

    /// Without a file's name, which the loader does not know.
    public var description: String {
        switch kind {
        case .noCertificate: "there is no PEM block 'CERTIFICATE'"
        case .unreadableBlock(let line, let ofKey):
            (ofKey ? "no private key: " : "") + "the PEM block that begins in line \(line) is damaged"
        case .unreadableCertificate(let index): "certificate \(index + 1) of the file is damaged"
        case .noKey: "there is no PEM block of a private key"
        case .unreadableKey: "the private key is damaged"
        case .passphraseMissing: "the private key is encrypted and there is no passphrase"
        case .passphraseWrong: "the passphrase does not open the private key"
        case .unsupportedKey: "the key is neither RSA, ECDSA nor Ed25519"
        case .keyMismatch: "the private key does not belong to the certificate"
        case .leafNotFirst(let index):
            "the private key belongs to certificate \(index + 1) of the file, which must be the first"
        case .chainOrder(let index): "certificate \(index + 1) of the file is not issued by the one after it"
        case .noNames: "the certificate has no subject alternative name"
        case .weakKey: "the key is too short: RSA needs 2048 bits, ECDSA 224"
        case .unusableCurve(let name):
            "no client takes a key on \(name.isEmpty ? "a curve without a name" : "the curve '\(name)'")"
        case .expired: "the certificate has expired"
        case .notYetValid: "the certificate is not valid yet"
        case .ocspUnreadable: "the OCSP response is damaged or no successful one"
        case .ocspOfOtherCertificate: "the OCSP response is about another certificate"
        case .ocspSignature: "the OCSP response is not signed by the certificate's issuer, nor for it"
        case .ocspRevoked: "the OCSP response says that the certificate is revoked"
        case .ocspUnknown: "the OCSP response says that its responder does not know the certificate"
        case .ocspExpired: "the OCSP response has expired"
        case .ocspNotYetValid: "the OCSP response is not valid yet"
        }
    }
}
