import PoiseModel

/// What libyaml says about a text it cannot read, in words that help.
///
/// By far the most frequent cause is a value with characters that YAML keeps for itself (`*` `#` `{` `[` `:`), and
/// the cure is a pair of quotes; so the value that was meant is looked for around the place and shown quoted.
struct SyntaxAdvice {
    let text: SourceText
    let file: Int

    func problem(for failure: ParserFailure) -> YAMLProblem {
        if let offset = failure.byteOffset { return badBytes(failure.problem, at: text.position(ofByte: offset)) }
        let here = failure.position
        let opening = failure.contextPosition ?? here
        let character = self.character(at: here)
        if character == nil, let comment = strayComment(before: here) { return comment }
        switch failure.problem {
        case "did not find expected alphabetic or numeric character":
            let mark = self.character(at: opening).map(String.init) ?? "*"
            return quote(at: opening, "'\(mark)' at the start of a value is a sign of YAML's own")
        case "found character that cannot start any token":
            if character == "\t" {
                return problem(here, "a tab cannot indent a line", fix: "indent with spaces")
            }
            return quote(at: here, "a value cannot start with '\(character.map(String.init) ?? "")' in YAML")
        case "did not find expected node content":
            if character == "]" || character == "}" {
                return quote(at: here, "'\(character.map(String.init) ?? "")' closes nothing that is open")
            }
            guard let character else {
                return problem(
                    endOfText(before: here), "the text ends where a value belongs",
                    fix: "close every [ and { that is open, and put values with special characters in quotes")
            }
            return quote(at: here, "'\(character)' cannot stand here without quotes")
        case "did not find expected ',' or '}'", "did not find expected ',' or ']'":
            if let character, here.line == opening.line || character == "{" || character == "[" {
                return quote(at: here, "'\(character)' inside a { } or [ ] is a sign of YAML's own")
            }
            let bracket = self.character(at: opening).map(String.init) ?? "["
            return problem(
                opening,
                here < text.position(ofByte: text.bytes.count)
                    ? "this '\(bracket)' is not closed before line \(here.line)" : "this '\(bracket)' is never closed",
                fix: "close it with '\(bracket == "{" ? "}" : "]")', and put a comma between its parts")
        case "found unexpected ':'":
            return quote(at: here, "':' at the end of a value inside a { } or [ ] is a sign of YAML's own")
        case "mapping values are not allowed in this context": return strayColon(at: here)
        case "did not find expected key":
            if isFirst(here) {
                return problem(
                    here, "this line is indented by \(here.column - 1) spaces, which fits no line above",
                    fix: "give all keys of one mapping the same indentation")
            }
            return quote(at: here, "the value had ended before this text", wholeValue: true)
        case "did not find expected '-' indicator" where !isFirst(here):
            return quote(at: here, "the value had ended before this text", wholeValue: true)
        case "did not find expected '-' indicator":
            return problem(
                here, "a list goes on here, but the line does not start with '- '",
                fix: "start the line with '- ', or indent it to belong to the item above")
        case "block sequence entries are not allowed in this context":
            return problem(here, "a list cannot start behind a key", fix: "start the list on the next line, indented")
        case "found unexpected end of stream":
            return problem(opening, "this quote is never closed", fix: "close it")
        case "found unknown escape character":
            return problem(
                here, "a backslash is special in double quotes", fix: "write it twice, or put the text in single quotes"
            )
        case "could not find expected ':'":
            return problem(
                opening, "this is neither 'key: value' nor a list item",
                fix: "write 'key: value', a space after the colon")
        default:
            return problem(
                here, [failure.context, failure.problem].compactMap { $0 }.joined(separator: ": "),
                fix: "check the indentation; a text with special characters goes in quotes")
        }
    }

    func unknownAlias(_ name: String, at range: SourceRange, known: [String]) -> YAMLProblem {
        YAMLProblem(
            .syntax, range, "'*\(name)' uses the anchor '&\(name)', and there is none before this line",
            fix: known.isEmpty
                ? "if the '*' is part of the text, put it in quotes: \"*\(name)\""
                : "the anchors are \(known.joined(separator: ", ")); if the '*' is part of the text, put it in quotes")
    }

    // MARK: - Parts

    private func problem(_ position: SourcePosition, _ problem: String, fix: String) -> YAMLProblem {
        let end = SourcePosition(line: Int(position.line), column: Int(position.column) + 1)
        return YAMLProblem(.syntax, SourceRange(file: file, start: position, end: end), problem, fix: fix)
    }

    private func badBytes(_ problem: String, at position: SourcePosition) -> YAMLProblem {
        problem.holds("UTF-8")
            ? self.problem(position, "the file is not UTF-8 here", fix: "save it as UTF-8")
            : self.problem(
                position, "a control character stands here", fix: "remove it, or write it as \"\\xNN\" in double quotes"
            )
    }

    /// `a: b: c`, or the line above has no space after its colon.
    private func strayColon(at position: SourcePosition) -> YAMLProblem {
        let line = characters(of: position)
        let colon = Int(position.column) - 1
        if let first = line.indices.dropLast().first(where: { line[$0] == ":" && line[$0 + 1] == " " }), first < colon {
            let start = line[(first + 1)...].firstIndex { $0 != " " } ?? colon
            return quoted(
                line, start..<line.endIndex, Int(position.line), "a second ': ' in one line starts a mapping in YAML")
        }
        return problem(
            position, "a mapping cannot start here",
            fix:
                "check that the line above has a space after its colon, and that this line is indented like its neighbours"
        )
    }

    /// `{ host: #{host} }`: a `#` behind a space hides the rest of its line, closing brackets too.
    private func strayComment(before position: SourcePosition) -> YAMLProblem? {
        for number in stride(from: Int(position.line), through: max(1, Int(position.line) - 20), by: -1) {
            let line = Array(text.line(number).unicodeScalars)
            let mark = line.indices.dropFirst().dropLast().first {
                line[$0] == "#" && line[$0 - 1] == " " && line[$0 + 1] != " " && line[..<$0].contains { $0 != " " }
            }
            guard let mark else { continue }
            let end = line[mark...].firstIndex { $0 == " " } ?? line.count
            return quoted(
                line, Self.withoutOuterBrackets(line, mark..<end), number,
                "'#' behind a space begins a comment, so what it hides is missing")
        }
        return nil
    }

    /// Behind the last character of the last line that has any.
    private func endOfText(before position: SourcePosition) -> SourcePosition {
        for number in stride(from: Int(position.line), through: 1, by: -1) {
            let count = text.line(number).unicodeScalars.count
            if count > 0 { return SourcePosition(line: number, column: count + 1) }
        }
        return position
    }

    /// The value around `position`, to be put in quotes.
    private func quote(at position: SourcePosition, _ problem: String, wholeValue: Bool = false) -> YAMLProblem {
        let line = characters(of: position)
        let center = min(Int(position.column) - 1, max(0, line.count - 1))
        guard !line.isEmpty else { return self.problem(position, problem, fix: "put the value in quotes") }
        var start = center
        var end = center
        while start > 0, line[start - 1] != " ", line[start - 1] != "\t" { start -= 1 }
        while end < line.count, line[end] != " ", line[end] != "\t" { end += 1 }
        if wholeValue,
            let mark = line.indices.dropLast().last(where: {
                $0 < center && (line[$0] == ":" || line[$0] == "-") && line[$0 + 1] == " "
            })
        {
            start = line[(mark + 1)...].firstIndex { $0 != " " } ?? start
            end = line.count
        }
        return quoted(line, Self.withoutOuterBrackets(line, start..<end), Int(position.line), problem)
    }

    private func quoted(_ line: [Unicode.Scalar], _ part: Range<Int>, _ number: Int, _ problem: String) -> YAMLProblem {
        let value = Self.text(line[part].filter { $0 != "\"" && $0 != "'" })
        let range = SourceRange(
            file: file, start: SourcePosition(line: number, column: part.lowerBound + 1),
            end: SourcePosition(line: number, column: part.upperBound + 1))
        return YAMLProblem(.syntax, range, problem, fix: "put it in quotes: \"\(value)\"")
    }

    /// `[${A},` is `${A}`, `[:8080]` is `:8080`, `[[::1]:80,` is `[::1]:80`: brackets without a partner in the word
    /// belong to the list around it.
    private static func withoutOuterBrackets(_ line: [Unicode.Scalar], _ word: Range<Int>) -> Range<Int> {
        var (start, end) = (word.lowerBound, word.upperBound)
        while end > start + 1, line[end - 1] == "," { end -= 1 }
        func excess(_ open: Unicode.Scalar, _ close: Unicode.Scalar) -> Int {
            line[start..<end].reduce(0) { $0 + ($1 == open ? 1 : $1 == close ? -1 : 0) }
        }
        while end > start + 1, line[start] == "[" && excess("[", "]") > 0 || line[start] == "{" && excess("{", "}") > 0
        {
            start += 1
        }
        while end > start + 1,
            line[end - 1] == "]" && excess("[", "]") < 0 || line[end - 1] == "}" && excess("{", "}") < 0
        {
            end -= 1
        }
        let isListOfOne = end - start > 2 && line[start] == "[" && line[end - 1] == "]"
        if isListOfOne, line[start + 1] == "[" || !line[(start + 1)..<(end - 1)].contains("[") {
            (start, end) = (start + 1, end - 1)
        }
        return start..<end
    }

    private func characters(of position: SourcePosition) -> [Unicode.Scalar] {
        Array(text.line(Int(position.line)).unicodeScalars)
    }

    private func character(at position: SourcePosition) -> Unicode.Scalar? {
        let line = characters(of: position)
        let index = Int(position.column) - 1
        return line.indices.contains(index) ? line[index] : nil
    }

    private func isFirst(_ position: SourcePosition) -> Bool {
        characters(of: position).prefix(Int(position.column) - 1).allSatisfy { $0 == " " }
    }

    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
