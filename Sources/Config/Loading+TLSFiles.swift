import PoiseModel
import PoiseYAML

extension Loading {
    /// Bytes of a file that TLS settings name: the system's authorities have 200 KB.
    private static let tlsFileBytesMax = 4 << 20

    /// Looks into every file that TLS settings name, once each.
    func checkTLSFiles(of configuration: Configuration) {
        guard let check = tlsFiles else { return }
        checkPrograms(of: configuration, check.reader)
        var seen: Set<CertificateFiles> = []
        for (index, listener) in configuration.listeners.enumerated() {
            guard let tls = listener.tls else { continue }
            let path = "listeners[\(index)].tls"
            for (item, files) in tls.certificates.enumerated() where seen.insert(files).inserted {
                look(into: files, at: "\(path).certificates[\(item)]", check)
            }
            for (item, problem) in check.together(tls.certificates) {
                add(problem, at: "\(path).certificates[\(item)].certificate")
            }
            if let file = tls.ticketKeyFile { lookIntoTicketKeys(file, at: "\(path).ticket_key_file", check.reader) }
        }
        var authorities: Set<String> = []
        for (index, group) in configuration.targetGroups.enumerated() {
            let path = "target_groups[\(index)].tls"
            if let files = group.tls?.certificate, seen.insert(files).inserted {
                look(into: files, at: "\(path).certificate", check)
            }
            if let file = group.tls?.authorityFile, authorities.insert(file).inserted {
                lookIntoAuthorities(file, at: "\(path).ca_file", check)
            }
        }
        for (index, hook) in configuration.notify.enumerated() {
            if hook.webhook?.isSecure == true, let file = hook.caFile, authorities.insert(file).inserted {
                lookIntoAuthorities(file, at: "notify[\(index)].ca_file", check)
            }
        }
    }

    private func lookIntoAuthorities(_ file: String, at path: String, _ check: TLSFileCheck) {
        guard let bytes = read(file, at: path, check.reader) else { return }
        for problem in check.authorities(bytes) { add(problem, at: path) }
    }

    private func look(into files: CertificateFiles, at path: String, _ check: TLSFileCheck) {
        // What cannot be read as a setting has no files; what is not written in a file is no mistake in one.
        guard !files.isSelfSigned, !isRefused(path) else { return }
        var contents = CertificateContents(files: files, certificate: [])
        var isWhole = true
        func take(_ file: String?, _ key: String) -> [UInt8]? {
            guard let file else { return nil }
            let bytes = read(file, at: "\(path).\(key)", check.reader)
            if bytes == nil { isWhole = false }
            return bytes
        }
        contents.certificate = take(files.certificate, "certificate") ?? []
        contents.key = take(files.key, "key")
        contents.passphrase = take(files.passphraseFile, "passphrase_file").map {
            CertificateContents.passphrase(in: $0)
        }
        contents.ocsp = take(files.ocspFile, "ocsp_file")
        guard isWhole else { return }
        for problem in check.certificate(contents) {
            let key =
                switch problem.part {
                case .certificate: "certificate"
                case .key: files.key == nil ? "certificate" : "key"
                case .passphrase: files.passphraseFile == nil ? "certificate" : "passphrase_file"
                case .ocsp: "ocsp_file"
                }
            add(problem, at: "\(path).\(key)")
        }
    }

    private func lookIntoTicketKeys(_ file: String, at path: String, _ reader: any FileReader) {
        guard let bytes = read(file, at: path, reader), let fault = TicketKeyRecords.fault(inFileOf: bytes.count)
        else { return }
        error(.invalid, at: place(of: path), path: path, fault.problem, fix: fault.fix)
    }

    private func add(_ problem: TLSFileProblem, at path: String) {
        switch problem.severity {
        case .error: error(problem.code, at: place(of: path), path: path, problem.problem, fix: problem.fix)
        case .warning: warning(problem.code, at: place(of: path), problem.problem, fix: problem.fix)
        }
    }

    /// - Returns: `nil` after an error, and for a file that is refused already.
    private func read(_ file: String, at path: String, _ reader: any FileReader) -> [UInt8]? {
        guard !isRefused(path) else { return nil }
        do throws(FileReadError) { return try reader.read(path: file, bytesMax: Self.tlsFileBytesMax) } catch {
            self.error(
                error.isTooLarge ? .tooLarge : .unreadable, at: place(of: path), path: path,
                "the file '\(reference(under: path) ?? file)' cannot be read: \(error.reason)",
                fix: "check the path and its permissions")
            return nil
        }
    }
}
