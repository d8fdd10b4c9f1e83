import PoiseModel
import PoiseYAML

/// `poise run --listen :8080 --to 127.0.0.1:7001,127.0.0.1:7002`: a configuration without any file.
///
/// The same Model, checked in the same way, with errors that point into the command line.
public enum CommandLineForm {
    /// One listener on all of `listen`, which forwards to one group of all of `to`.
    ///
    /// - Parameters: values of the two options in written order; each may hold several, separated by commas.
    /// - Throws: ``ConfigReport`` with every error.
    public static func configuration(listen: [String], to: [String]) throws(ConfigReport) -> Configuration {
        let loading = Loading(reader: NoFiles(), environment: { _ in nil })
        let line = Line(listen: listen, to: to)
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
        let id = Identity.listener(name: nil, protocolKind: .http, addresses: addresses)
        let groupID = Identity.inPlaceGroup(listener: id, rule: Identity.defaultRule)
        let configuration = Configuration(
            listeners: [
                Listener(
                    id: id, addresses: addresses, rules: [],
                    defaultAction: .forward(Forward(shares: [.init(group: groupID)])))
            ],
            targetGroups: [TargetGroup(id: groupID, targets: targets)])
        for error in configuration.validate() { loading.add(error, severity: .error) }
        let report = loading.report()
        guard !report.hasErrors else { throw report }
        return configuration
    }

    /// The two options as one line, with the place of each value in it.
    private struct Line {
        struct Part {
            var text: String
            var column: Int
        }

        var text = ""
        var listen: [Part] = []
        var to: [Part] = []

        init(listen: [String], to: [String]) {
            self.listen = add("--listen", listen)
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
