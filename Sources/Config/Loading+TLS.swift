import PoiseModel
import PoiseYAML

extension Loading {
    /// What stands for a certificate that Poise makes itself.
    static let selfSigned = "self-signed"

    /// `tls` of a listener, or of `defaults.listener`, which have no certificates of their own.
    func readListenerTLS(_ node: YAMLNode, at path: String, into tls: inout ListenerTLS, inDefaults: Bool) {
        guard
            let section = section(
                node, at: path, "'tls'", keys: ObjectKeys.listenerTLS.names + SettingsTable.listenerTLS.keys,
                later: LaterFeatures.listenerTLS, elsewhere: LaterFeatures.listenerTLSElsewhere)
        else { return }
        read(SettingsTable.listenerTLS, from: section, into: &tls, inDefaults: inDefaults)
        if let node = section["certificates"], inDefaults {
            error(
                .invalid, at: node.range, path: section.path("certificates"), "lists are not inherited",
                fix: "set 'tls.certificates' where it is used")
        } else if let node = section["certificates"] {
            tls.certificates = items(node, at: section.path("certificates")).map { item in
                // Keeps the index; it equals no other.
                readCertificate(item.node, at: item.path) ?? CertificateFiles(certificate: "(unreadable \(item.path))")
            }
        }
        if let node = section["strict_transport"] {
            readStrictTransport(node, at: section.path("strict_transport"), into: &tls.strictTransport)
        }
    }

    private func readStrictTransport(_ node: YAMLNode, at path: String, into strict: inout StrictTransport?) {
        if isOff(node) {
            note(path, at: node.range)
            strict = nil
            return
        }
        guard let section = section(node, at: path, "'strict_transport'", keys: SettingsTable.strictTransport.keys)
        else { return }
        var written = strict ?? StrictTransport()
        read(SettingsTable.strictTransport, from: section, into: &written)
        strict = written
    }

    /// `tls` of a target group, or of `defaults.target_group`.
    func readTargetTLS(_ node: YAMLNode, at path: String, into tls: inout TargetTLS, inDefaults: Bool) {
        guard
            let section = section(
                node, at: path, "'tls'", keys: SettingsTable.targetTLS.keys + ObjectKeys.targetTLS.names,
                elsewhere: LaterFeatures.targetTLSElsewhere)
        else { return }
        read(SettingsTable.targetTLS, from: section, into: &tls, inDefaults: inDefaults)
        guard let node = section["certificate"] else { return }
        let path = section.path("certificate")
        if isOff(node) {
            note(path, at: node.range)
            tls.certificate = nil
        } else if let files = readCertificate(node, at: path) {
            if files.isSelfSigned {
                error(
                    .invalid, at: node.range, path: path, "no target believes a certificate that is made at start",
                    fix: "name the files of one: { certificate: client.pem, key: client.key }")
            }
            tls.certificate = files
        }
    }

    /// A mapping of files, the path of one file that holds all, or the word `self-signed`.
    private func readCertificate(_ node: YAMLNode, at path: String) -> CertificateFiles? {
        guard case .mapping = node.content else {
            if case .scalar(let scalar) = node.content, scalar.text == Self.selfSigned {
                note(path, at: node.range)
                return .selfSigned
            }
            return self.path(node, at: path, expected: "the path of a PEM file with certificate, chain and key")
                .map { CertificateFiles(certificate: $0) }
        }
        guard let section = section(node, at: path, "a certificate", keys: SettingsTable.certificate.keys) else {
            return nil
        }
        var files = CertificateFiles(certificate: "(unreadable \(path))")
        read(SettingsTable.certificate, from: section, into: &files)
        if section["certificate"] == nil {
            error(
                .missing, at: section.range, path: section.path("certificate"), "the certificate names no file",
                fix: "add 'certificate: …', a PEM file")
        }
        return files
    }

    /// The absolute path that a scalar names.
    ///
    /// - Returns: `nil` after an error.
    func path(_ node: YAMLNode, at path: String, expected: String) -> String? {
        if case .scalar(let scalar) = node.content, scalar.text.hasPrefix("file:") {
            error(
                .wrongType, at: node.range, path: path,
                "the path of a file belongs here, and 'file:' stands for its content",
                fix: "write the path alone: \(scalar.text.dropFirst("file:".count))")
            return nil
        }
        guard let text = text(node, at: path, expected: expected) else { return nil }
        if let reference = text.reference, !text.value.hasPrefix("/") {
            note(path, reference: "\(folderFromMain(text.range))\(reference)")
        }
        return self.path(text, at: path, beside: name(of: text.range), expected: expected)
    }

    /// - Parameter file: the one that relative paths are seen from.
    /// - Returns: `nil` after an error.
    func path(_ text: Text, at path: String, beside file: String, expected: String) -> String? {
        do throws(ConfigError) {
            try TextForm.filePath(text.value)
            if let whole = FilePath.absolute(text.value, beside: file, from: reader.workingFolder) { return whole }
            throw ConfigError(
                code: .invalid, problem: "'\(text.value)' is relative, and this text lies in no folder",
                fix: "write the whole path, from / on")
        } catch {
            refused(error, text, at: path, expected: expected)
            return nil
        }
    }
}
