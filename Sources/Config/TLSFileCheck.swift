import PoiseModel

/// Opens the files that TLS settings, those of webhooks included, name while a configuration is loaded, and asks those who understand them.
///
/// The room Config knows paths, this brings contents: what is wrong with them is then told at the key that names the
/// file. Without a check nothing is opened.
public struct TLSFileCheck {
    let reader: any FileReader
    let certificate: (CertificateContents) -> [TLSFileProblem]
    let authorities: ([UInt8]) -> [TLSFileProblem]
    let together: ([CertificateFiles]) -> [(index: Int, problem: TLSFileProblem)]

    /// - Parameters:
    ///   - reader: gets absolute paths.
    ///   - certificate: what is wrong with one certificate, its chain and its key.
    ///   - authorities: what is wrong with a file of authorities; problems of ``TLSFileProblem/Part/certificate``.
    ///   - together: what is wrong with the certificates of one listener beside each other; comes after `certificate` for
    ///     each of them.
    public init(
        reader: some FileReader, certificate: @escaping (CertificateContents) -> [TLSFileProblem] = { _ in [] },
        authorities: @escaping ([UInt8]) -> [TLSFileProblem] = { _ in [] },
        together: @escaping ([CertificateFiles]) -> [(index: Int, problem: TLSFileProblem)] = { _ in [] }
    ) {
        (self.reader, self.certificate) = (reader, certificate)
        (self.authorities, self.together) = (authorities, together)
    }
}

/// The files of one certificate, as they were read.
public struct CertificateContents: Sendable, Equatable {
    public var files: CertificateFiles
    public var certificate: [UInt8]
    /// `nil`: `certificate` holds the key too.
    public var key: [UInt8]?
    /// The first line of its file, without the line end.
    public var passphrase: [UInt8]?
    public var ocsp: [UInt8]?

    /// The first line of a passphrase's file, without its end.
    public static func passphrase(in bytes: [UInt8]) -> [UInt8] {
        let line = bytes.prefix { $0 != 0x0A }
        return Array(line.last == 0x0D ? line.dropLast() : line)
    }
}

/// What is wrong with a certificate, or will be soon.
public struct TLSFileProblem: Sendable, Equatable {
    /// The file that it is about.
    public enum Part: Sendable { case certificate, key, passphrase, ocsp }

    public var part: Part
    public var severity: Diagnostic.Severity
    public var code: ConfigError.Code
    public var problem: String
    public var fix: String

    public init(
        _ part: Part, _ severity: Diagnostic.Severity, code: ConfigError.Code = .invalid, problem: String, fix: String
    ) {
        (self.part, self.severity, self.code, self.problem, self.fix) = (part, severity, code, problem, fix)
    }
}
