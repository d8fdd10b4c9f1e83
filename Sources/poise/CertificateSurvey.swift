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
    /// Those without an error.
    private var certificates: [CertificateFiles: Certificate] = [:]
    /// Seconds since 1970.
    private let now: Int64

    init(now: Int64 = Clock.wall / 1_000_000_000) { self.now = now }

    var check: TLSFileCheck {
        TLSFileCheck(
            reader: SystemFiles(), certificate: look, authorities: CertificateFileReader.problems(ofAuthorities:),
            together: lookAtAll)
    }

    private func look(_ contents: CertificateContents) -> [TLSFileProblem] {
        let output = CertificateLoader.load(
            .init(
                certificate: contents.certificate, key: contents.key, passphrase: contents.passphrase,
                ocspResponse: contents.ocsp),
            now: now)
        var problems = output.problems.map(\.report)
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
        certificates[contents.files] = certificate
        lines.append(line(contents.files.certificate, certificate, days: days))
        return problems
    }

    private func lookAtAll(_ files: [CertificateFiles]) -> [(index: Int, problem: TLSFileProblem)] {
        let shown = files.enumerated().compactMap { item, files in certificates[files].map { (item, files, $0) } }
        return CertificateStore(shown.map(\.2)).reports(of: shown.map(\.1)).map { (shown[$0.index].0, $0.problem) }
    }

    private func line(_ path: String, _ certificate: Certificate, days: Int64) -> String {
        let more = certificate.names.count - Self.namesShownMax
        let names = certificate.names.prefix(Self.namesShownMax).joined(separator: ", ")
        let subject = certificate.subject.isEmpty ? "no name" : certificate.subject
        let shown = names.isEmpty ? subject : more > 0 ? "\(names), \(more) more" : names
        let left = certificate.notAfter > now ? "\(days) days left" : "expired"
        return
            "  certificate \(path): \(shown); \(certificate.keyKind); until \(UTCText.day(certificate.notAfter)), \(left)"
    }
}
