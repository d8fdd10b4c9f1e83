import PoiseModel

extension CanonicalWriter {
    mutating func writeListenerTLS(_ tls: ListenerTLS, at path: String, indent: Int) {
        line(indent, "tls:", at: path)
        line(indent + 1, "certificates:", at: "\(path).certificates")
        for (index, files) in tls.certificates.enumerated() {
            let itemPath = "\(path).certificates[\(index)]"
            guard !writesAsText(files, at: itemPath) else {
                line(indent + 2, "- \(text(of: files, at: itemPath))", at: itemPath)
                continue
            }
            let first = "\(itemPath).certificate"
            line(indent + 2, "- certificate: \(scalar(files.certificate, first))", at: first)
            writeRest(of: files, at: itemPath, indent: indent + 3)
        }
        settings(SettingsTable.listenerTLS, tls, ListenerTLS(certificates: []), indent + 1, path)
        let strictPath = "\(path).strict_transport"
        if let strict = tls.strictTransport {
            line(indent + 1, "strict_transport:", at: strictPath)
            settings(SettingsTable.strictTransport, strict, nil, indent + 2, strictPath)
        } else if includingDefaults {
            line(indent + 1, "strict_transport: off", at: strictPath, isSetting: true)
        }
    }

    mutating func writeTargetTLS(_ tls: TargetTLS, _ base: TargetTLS, at path: String, indent: Int) {
        section(indent, "tls") { writer in
            writer.settings(SettingsTable.targetTLS, tls, base, indent + 1, path)
            let certificatePath = "\(path).certificate"
            guard writer.includingDefaults || tls.certificate != base.certificate else { return }
            guard let files = tls.certificate else {
                writer.line(indent + 1, "certificate: off", at: certificatePath, isSetting: true)
                return
            }
            guard !writer.writesAsText(files, at: certificatePath) else {
                let text = writer.text(of: files, at: certificatePath)
                writer.line(indent + 1, "certificate: \(text)", at: certificatePath)
                return
            }
            writer.line(indent + 1, "certificate:", at: certificatePath)
            let first = "\(certificatePath).certificate"
            writer.line(indent + 2, "certificate: \(writer.scalar(files.certificate, first))", at: first)
            writer.writeRest(of: files, at: certificatePath, indent: indent + 2)
        }
    }

    private mutating func writeRest(of files: CertificateFiles, at path: String, indent: Int) {
        settings(
            SettingsTable.certificate, files, CertificateFiles(certificate: ""), indent, path,
            without: ["certificate"])
    }

    /// A file that holds all is written as its path.
    private func writesAsText(_ files: CertificateFiles, at path: String) -> Bool {
        files == CertificateFiles(certificate: files.certificate)
            && origins.reference(of: "\(path).certificate") == nil
    }

    private func text(of files: CertificateFiles, at path: String) -> String {
        files.isSelfSigned ? Loading.selfSigned : scalar(files.certificate, path)
    }
}
