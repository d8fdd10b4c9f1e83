import PoiseModel

/// Opens the files that TLS settings name while a configuration is loaded, and asks those who understand them.
///
/// The room Config knows paths, this brings contents: what is wrong with them is then told at the key that names the
/// file. Without a check nothing is opened.
public struct TLSFileCheck {
    let reader: any FileReader
    let certificate: (CertificateContents) -> [TLSFileProblem]
    let authorities: ([UInt8]) -> [TLSFileProblem]

    /// - Parameters:
    ///   - reader: gets absolute paths.
    ///   - certificate: what is wrong with one certificate, its chain and its key.
    ///   - authorities: what is wrong with a file of authorities; problems of ``TLSFileProblem/Part/certificate``.
    public init(
        reader: some FileReader, certificate: @escaping (CertificateContents) -> [TLSFileProblem] = { _ in [] },
        authorities: @escaping ([UInt8]) -> [TLSFileProblem] = { _ in [] }
    ) {
        (self.reader, self.certificate, self.authorities) = (reader, certificate, authorities)
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
