import PoiseModel
import PoiseYAML

/// `poise run --listen :8080 --to 127.0.0.1:7001,127.0.0.1:7002`: a configuration without any file. With `--tls`, the
/// listener's protocol is HTTPS.
///
/// The same Model, checked in the same way, with errors that point into the command line.
public enum CommandLineForm {
    /// One listener on all of `listen`, which forwards to one group of all of `to`.
    ///
    /// - Parameters:
    ///   - listen: in written order; each value may hold several addresses, separated by commas.
    ///   - to: likewise, of targets.
    ///   - tls: one certificate each: `self-signed`, `BUNDLE.pem` or `CERTIFICATE.pem,KEY.pem`.
    ///   - files: knows the folder that paths are seen from.
    ///   - tlsFiles: looks into the certificates; without it they are not opened.
    /// - Throws: ``ConfigReport`` with every error.
    public static func load(
        listen: [String], to: [String], tls: [String] = [], files: some FileReader = NoFiles(),
        tlsFiles: TLSFileCheck? = nil
    ) throws(ConfigReport) -> LoadedConfiguration {
        let loading = Loading(reader: files, environment: { _ in nil }, tlsFiles: tlsFiles)
        let line = Line(listen: listen, to: to, tls: tls)
        let file = loading.add(name: "command line", text: SourceText(line.text))
        func value(_ part: Line.Part) -> Text {
            let range = SourceRange(
                file: file, start: SourcePosition(line: 1, column: part.column),
                end: SourcePosition(line: 1, column: part.column + part.text.unicodeScalars.count))
            return Text(value: part.text, range: range)
        }
        loading.note("", at: value(Line.Part(text: line.text, column: 1)).range)

        var addresses: [ListenAddress] = []
        for (index, part) in line.listen.enumerated() {
            let (path, text) = ("listeners[0].address[\(index)]", value(part))
            loading.note(path, at: text.range)
            do throws(ConfigError) { addresses.append(try ListenAddress(parsing: part.text)) } catch {
                loading.error(error, at: text.range, path: path)
                // Keeps the index; it equals no other.
                addresses.append(.unix(path: "(unreadable \(path))"))
            }
        }
        var targets: [Target] = []
        for (index, part) in line.to.enumerated() {
            let (path, text) = ("target_groups[0].targets[\(index)]", value(part))
            loading.note(path, at: text.range)
            do throws(ConfigError) { targets.append(Target(address: try TargetAddress(parsing: part.text))) } catch {
                loading.error(error, at: text.range, path: path)
                targets.append(Target(address: .unix(path: "(unreadable \(path))")))
            }
        }
        let certificates = line.tls.enumerated().map { index, parts in
            readCertificate(parts.map(value), at: "listeners[0].tls.certificates[\(index)]", loading)
        }
        let protocolKind: Listener.ListenerProtocol = certificates.isEmpty ? .http : .https
        let id = Identity.listener(name: nil, protocolKind: protocolKind, addresses: addresses)
        let groupID = Identity.inPlaceGroup(listener: id, rule: Identity.defaultRule)
        var listener = Listener(
            id: id, addresses: addresses, rules: [],
            defaultAction: .forward(Forward(shares: [.init(group: groupID)])))
        listener.protocolKind = protocolKind
        if !certificates.isEmpty { listener.tls = ListenerTLS(certificates: certificates) }
        let configuration = Configuration(
            listeners: [listener], targetGroups: [TargetGroup(id: groupID, targets: targets)])
        for error in configuration.validate() { loading.add(error, severity: .error) }
        loading.checkTLSFiles(of: configuration)
        return try ConfigLoader.finish(loading, configuration)
    }

    private static func readCertificate(_ parts: [Text], at path: String, _ loading: Loading) -> CertificateFiles {
        loading.note(path, at: parts[0].range)
        if parts.count == 1, parts[0].value == Loading.selfSigned { return .selfSigned }
        let paths = zip(parts, ["certificate", "key"]).map { part, key in
            loading.note("\(path).\(key)", at: part.range)
            return loading.path(part, at: "\(path).\(key)", beside: "", expected: "the path of a PEM file")
        }
        if parts.count > 2 {
            loading.error(
                .invalid, at: parts[2].range, path: path, "'\(parts[2].value)' is one file too many",
                fix: "write --tls CERTIFICATE.pem,KEY.pem, and --tls again for another certificate")
        }
        return CertificateFiles(
            certificate: paths[0] ?? "(unreadable \(path))", key: paths.count > 1 ? paths[1] : nil)
    }

    /// The options as one line, with the place of each value in it.
    private struct Line {
        struct Part {
            var text: String
            var column: Int
        }

        var text = ""
        var listen: [Part] = []
        var to: [Part] = []
        /// By option: a certificate is one or two files.
        var tls: [[Part]] = []

        init(listen: [String], to: [String], tls: [String]) {
            self.listen = add("--listen", listen)
            self.tls = tls.map { add("--tls", [$0]) }
            self.to = add("--to", to)
        }

        private mutating func add(_ option: String, _ values: [String]) -> [Part] {
            var parts: [Part] = []
            for value in values {
                text += "\(text.isEmpty ? "" : " ")\(option) "
                for (index, part) in value.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
                    if index > 0 { text += "," }
                    parts.append(Part(text: String(part), column: text.unicodeScalars.count + 1))
                    text += part
                }
            }
            return parts
        }
    }
}
