import PoiseConfig
import PoiseControl
import PoiseModel
import PoisePlatform
import PoiseTLS
import PoiseTelemetry

/// Looks into every certificate of a configuration, for `poise check`: what is wrong with it, and what it is.
///
/// An expired certificate is a warning: it still serves those who do not look, and must not stop a start.
final class CertificateSurvey {
    /// A certificate that ends sooner is warned of.
    private static let daysLeftMin: Int64 = 30
    /// Names that a line shows.
    private static let namesShownMax = 4

    /// One line per certificate, in the order of the files.
    private(set) var lines: [String] = []
    /// Seconds since 1970.
    private let now: Int64

    init(now: Int64 = Clock.wall / 1_000_000_000) { self.now = now }

    var check: TLSFileCheck {
        TLSFileCheck(reader: SystemFiles(), certificate: look, authorities: Self.lookIntoAuthorities)
    }

    private func look(_ contents: CertificateContents) -> [TLSFileProblem] {
        let output = CertificateLoader.load(
            .init(
                certificate: contents.certificate, key: contents.key, passphrase: contents.passphrase,
                ocspResponse: contents.ocsp),
            now: now)
        var problems = output.problems.map(Self.problem)
        guard let certificate = output.certificate else { return problems }
        let days = (certificate.notAfter - now) / 86_400
        if certificate.notAfter > now, days < Self.daysLeftMin {
            problems.append(
                TLSFileProblem(
                    .certificate, .warning, code: .expiry,
                    problem: "the certificate expires on \(UTCText.day(certificate.notAfter)), "
                        + (days == 0 ? "in less than a day" : "in \(days) day\(days == 1 ? "" : "s")"),
                    fix: "renew it; the new file serves the next handshake"))
        }
        lines.append(line(contents.files.certificate, certificate, days: days))
        return problems
    }

    private func line(_ path: String, _ certificate: Certificate, days: Int64) -> String {
        let more = certificate.names.count - Self.namesShownMax
        let names = certificate.names.prefix(Self.namesShownMax).joined(separator: ", ")
        let shown = names.isEmpty ? certificate.subject : more > 0 ? "\(names), \(more) more" : names
        let left = certificate.notAfter > now ? "\(days) days left" : "expired"
        return
            "  certificate \(path): \(shown); \(certificate.keyKind); until \(UTCText.day(certificate.notAfter)), \(left)"
    }

    private static func lookIntoAuthorities(_ bytes: [UInt8]) -> [TLSFileProblem] {
        do {
            _ = try TLSClientContext(policy: .intermediate, verification: .authorities(bytes), protocols: [])
            return []
        } catch {
            return [
                TLSFileProblem(
                    .certificate, .error, problem: "the file is no list of authorities: \(error)",
                    fix: "name a PEM file of certificates")
            ]
        }
    }

    private static func problem(_ problem: CertificateProblem) -> TLSFileProblem {
        let (part, fix): (TLSFileProblem.Part, String) =
            switch problem.kind {
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
        let code: ConfigError.Code =
            switch problem.kind {
            case .expired, .notYetValid: .expiry
            case .keyMismatch, .ocspOfOtherCertificate: .conflict
            case .noCertificate, .noKey, .passphraseMissing: .missing
            case .unreadableCertificate, .unreadableKey, .passphraseWrong, .unsupportedKey, .chainOrder, .noNames,
                .weakKey, .ocspUnreadable:
                .invalid
            }
        let day: String =
            switch problem.kind {
            case .expired(let since): ", on \(UTCText.day(since))"
            case .notYetValid(let until): ", only from \(UTCText.day(until)) on"
            default: ""
            }
        return TLSFileProblem(
            part, problem.isWarning ? .warning : .error, code: code, problem: "\(problem)\(day)", fix: fix)
    }
}

extension ConfigError.Code {
    /// Of warnings only: a certificate's time is over, nearly over, or not yet come.
    static let expiry = Self(name: "expiry")
}
