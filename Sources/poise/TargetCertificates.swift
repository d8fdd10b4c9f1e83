import PoiseConfig
import PoiseControl
import PoiseModel
import PoisePlatform
import PoiseTLS

/// What `poise target --tls` shows: the certificates that the command line names, as `poise run --tls` takes them.
enum TargetCertificates {
    private static let bytesMax = 1 << 20

    /// - Parameters:
    ///   - texts: one certificate each: `self-signed`, `BUNDLE.pem` or `CERTIFICATE.pem,KEY.pem`.
    ///   - now: seconds since 1970.
    /// - Returns: `nil` without any: plain HTTP.
    static func context(
        of texts: [String], now: Int64 = Clock.wall / 1_000_000_000
    ) throws(UsageError) -> TLSServerContext? {
        guard !texts.isEmpty else { return nil }
        var certificates: [Certificate] = []
        for text in texts { certificates.append(try certificate(text, now: now)) }
        do throws(TLSSetupError) {
            // The server behind this speaks HTTP/1.1 only.
            return try TLSServerContext(
                policy: .intermediate, alpn: .http1Only, certificates: CertificateStore(certificates),
                tickets: TicketKeys(), scope: "target")
        } catch {
            throw UsageError(problem: "--tls: OpenSSL refuses it: \(error)", fix: "name another certificate")
        }
    }

    private static func certificate(_ text: String, now: Int64) throws(UsageError) -> Certificate {
        if text == "self-signed" {
            do throws(TLSSetupError) { return try SelfSigned.make(now: now) } catch {
                throw UsageError(problem: "--tls: cannot make \(error)", fix: "name the files of a certificate")
            }
        }
        let paths = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard paths.count <= 2, !paths.contains("") else {
            throw UsageError(
                problem: "--tls: '\(text)' names no certificate",
                fix: "write --tls self-signed, --tls BUNDLE.pem or --tls CERTIFICATE.pem,KEY.pem")
        }
        let key = paths.count == 2 ? try read(paths[1]) : nil
        let output = CertificateLoader.load(.init(certificate: try read(paths[0]), key: key), now: now)
        if let certificate = output.certificate { return certificate }
        let problem = output.problems.first { !$0.isWarning }
        throw UsageError(
            problem: "--tls \(text): \(problem?.description ?? "no certificate")",
            fix: problem?.kind == .passphraseMissing
                ? "name a key that is not encrypted" : problem?.report.fix ?? "name another certificate")
    }

    private static func read(_ path: String) throws(UsageError) -> [UInt8] {
        do throws(SystemError) { return try Files.read(path, limit: bytesMax) } catch {
            throw UsageError(
                problem: "--tls: the file '\(path)' cannot be read: \(error.reason)",
                fix: "check the path and its permissions")
        }
    }
}
