import PoiseModel
import PoiseYAML

/// One thing that is wrong with a configuration, or hardly meant, and where.
public struct Diagnostic: Sendable, Equatable {
    public enum Severity: String, Sendable { case error, warning }
    public struct Note: Sendable, Equatable {
        public var range: SourceRange
        public var text: String
    }

    public var severity: Severity
    public var code: ConfigError.Code
    public var range: SourceRange
    public var problem: String
    /// What to do about it.
    public var fix: String
    /// Other places that belong to it.
    public var notes: [Note] = []
}

/// Everything that is wrong with a configuration, at once, in the order of the files.
public struct ConfigReport: Error, Sendable {
    /// A text that diagnostics point into.
    public struct File: Sendable {
        public var name: String
        public var text: SourceText
    }

    public var files: [File]
    public var diagnostics: [Diagnostic]

    public var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

    /// As compilers print it: `file:line:column: error: problem [code]`, the line, a caret, `help:` with the fix.
    ///
    /// - Parameter color: with ANSI colours, for a terminal.
    public func render(color: Bool = false) -> String {
        let style = Style(isOn: color)
        var output = ""
        for diagnostic in diagnostics {
            let label = diagnostic.severity == .error ? style.red("error:") : style.yellow("warning:")
            output += "\(style.bold(place(diagnostic.range))) \(label) "
            output += "\(style.bold(Self.oneLine(diagnostic.problem))) [\(diagnostic.code.name)]\n"
            output += excerpt(diagnostic.range, style)
            output += "\(style.cyan("help:")) \(Self.oneLine(diagnostic.fix))\n"
            for note in diagnostic.notes {
                output += "\(place(note.range)) note: \(note.text)\n" + excerpt(note.range, style)
            }
        }
        return output
    }

    /// `poise.yaml:3:14`
    public func location(_ range: SourceRange) -> String {
        let name = files.indices.contains(Int(range.file)) ? files[Int(range.file)].name : "?"
        return "\(name):\(range.start.line):\(range.start.column)"
    }

    /// Characters of one problem or fix that are shown; a value in it may be a megabyte long.
    private static let textMax = 600

    /// Control characters of a value could forge lines or drive a terminal; they are shown as escapes.
    private static func oneLine(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(textMax) {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            if isControl { shown += scalar.escaped(asASCII: true) } else { shown.unicodeScalars.append(scalar) }
        }
        return text.unicodeScalars.count > textMax ? shown + "…" : shown
    }

    private func place(_ range: SourceRange) -> String { location(range) + ":" }

    /// The line and a caret under the column, with `~` to the end of the part where that is on the same line.
    private func excerpt(_ range: SourceRange, _ style: Style) -> String {
        guard files.indices.contains(Int(range.file)) else { return "" }
        let line = Array(files[Int(range.file)].text.line(Int(range.start.line)).unicodeScalars)
        let start = Int(range.start.column) - 1
        guard !line.isEmpty, start <= line.count else { return "" }
        let end = range.end.line == range.start.line ? Int(range.end.column) - 1 : line.count
        // A window of the line, so that a generated line of a megabyte does not fill the screen.
        let first = start > 160 ? start - 60 : 0
        let last = min(line.count, max(first + 200, min(end, start + 100)))
        var shown = String.UnicodeScalarView()
        shown.append(
            contentsOf: line[first..<last].map { $0.value < 0x20 && $0 != "\t" || $0.value == 0x7F ? "\u{FFFD}" : $0 })
        var padding = String.UnicodeScalarView()
        padding.append(contentsOf: line[first..<min(start, last)].map { $0 == "\t" ? "\t" : " " })
        let length = max(1, min(end, last) - start)
        let caret = "^" + String(repeating: "~", count: length - 1)
        return "\(String(shown))\n\(String(padding))\(style.green(caret))\n"
    }

    private struct Style {
        var isOn: Bool
        func bold(_ text: String) -> String { paint(text, "1") }
        func red(_ text: String) -> String { paint(text, "1;31") }
        func yellow(_ text: String) -> String { paint(text, "1;33") }
        func green(_ text: String) -> String { paint(text, "32") }
        func cyan(_ text: String) -> String { paint(text, "36") }
        private func paint(_ text: String, _ code: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
    }
}
