import PoiseConfig
import PoiseModel
import PoisePlatform
import PoiseTLS

/// Opens the files of certificates, authorities and ticket keys. Blocks: for helper threads and offline verbs.
public enum CertificateFileReader {
    /// The system's authorities have 200 KB.
    private static let bytesMax = 4 << 20

    /// - Parameters:
    ///   - known: certificates by the digest of their bytes: equal ones are not loaded again.
    ///   - now: seconds since 1970.
    /// - Returns: everything that is wrong with the files; no certificate where that is more than a warning.
    static func certificate(
        of files: CertificateFiles, known: [[UInt8]: Certificate], now: Int64
    ) -> (Certificate?, [TLSFileProblem]) {
        var problems: [TLSFileProblem] = []
        func take(_ file: String?, _ part: TLSFileProblem.Part) -> [UInt8]? {
            file.flatMap { read($0, part, &problems) }
        }
        let bytes = take(files.certificate, .certificate)
        let (key, passphrase) = (take(files.key, .key), take(files.passphraseFile, .passphrase))
        let response = take(files.ocspFile, .ocsp)
        guard problems.isEmpty, let bytes else { return (nil, problems) }
        return certificate(
            of: CertificateLoader.Input(
                certificate: bytes, key: key, passphrase: passphrase.map { CertificateContents.passphrase(in: $0) },
                ocspResponse: response), known: known, now: now)
    }

    /// The same with what was read already.
    static func certificate(
        of input: CertificateLoader.Input, known: [[UInt8]: Certificate] = [:], now: Int64
    ) -> (Certificate?, [TLSFileProblem]) {
        let before = known.isEmpty ? nil : known[input.digest].map { CertificateStore([$0]) }
        let output = CertificateLoader.load(input, now: now, reusing: before)
        return (output.certificate, output.problems.map { $0.report })
    }

    static func authorities(of file: String) -> ([UInt8]?, [TLSFileProblem]) {
        var problems: [TLSFileProblem] = []
        guard let bytes = read(file, .certificate, &problems) else { return (nil, problems) }
        problems = self.problems(ofAuthorities: bytes)
        return (problems.isEmpty ? bytes : nil, problems)
    }

    /// What is wrong with the authorities that a file holds: a context finds out, which is what reads them.
    public static func problems(ofAuthorities bytes: [UInt8]) -> [TLSFileProblem] {
        do throws(TLSSetupError) {
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

    static func ticketKeys(of file: String) -> (ShelfContents.TicketKeyFile?, [TLSFileProblem]) {
        var problems: [TLSFileProblem] = []
        guard let bytes = read(file, .certificate, &problems) else { return (nil, problems) }
        if let keys = TicketKeys(file: bytes) { return (ShelfContents.TicketKeyFile(bytes: bytes, keys: keys), []) }
        guard let fault = TicketKeyRecords.fault(inFileOf: bytes.count) else { return (nil, []) }
        return (nil, [TLSFileProblem(.certificate, .error, problem: fault.problem, fix: fault.fix)])
    }

    private static func read(
        _ file: String, _ part: TLSFileProblem.Part, _ problems: inout [TLSFileProblem]
    ) -> [UInt8]? {
        do throws(SystemError) { return try Files.read(file, limit: bytesMax) } catch {
            let error = FileReadError(error, bytesMax: bytesMax)
            problems.append(
                TLSFileProblem(
                    part, .error, code: error.isTooLarge ? .tooLarge : .unreadable,
                    problem: "the file '\(file)' cannot be read: \(error.reason)",
                    fix: "check the path and its permissions"))
            return nil
        }
    }
}

extension CertificateFiles {
    /// Paths of all files.
    var all: [String] { [certificate] + [key, passphraseFile, ocspFile].compactMap(\.self) }

    /// Where a part comes from.
    func file(of part: TLSFileProblem.Part) -> String {
        switch part {
        case .certificate: certificate
        case .key: key ?? certificate
        case .passphrase: passphraseFile ?? key ?? certificate
        case .ocsp: ocspFile ?? certificate
        }
    }

    /// The setting that names it.
    func key(of part: TLSFileProblem.Part) -> String {
        switch part {
        case .certificate: "certificate"
        case .key: key == nil ? "certificate" : "key"
        case .passphrase: passphraseFile != nil ? "passphrase_file" : key != nil ? "key" : "certificate"
        case .ocsp: ocspFile == nil ? "certificate" : "ocsp_file"
        }
    }
}
