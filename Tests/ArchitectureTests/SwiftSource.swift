/// The text of one Swift file with comments and string literals blanked out, so that a rule about code is not
/// broken, and not satisfied, by prose. Line breaks stay where they were.
///
/// Interpolations inside a string are blanked with it: no rule looks into them.
struct SwiftSource {
    let lines: [Substring]

    init(_ text: String) { lines = Self.code(of: text).split(separator: "\n", omittingEmptySubsequences: false) }

    /// A module that is imported, and the line (from 1) that does so.
    var imports: [(module: String, line: Int)] {
        lines.enumerated().compactMap { index, line in
            guard let match = line.firstMatch(of: Self.importLine) else { return nil }
            return (String(match.output.1), index + 1)
        }
    }

    /// Lines (from 1) that hold `word` as a whole word.
    func lines(with word: String) -> [Int] {
        lines.enumerated().compactMap { index, line in
            let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "@") }
            return words.contains(Substring(word)) ? index + 1 : nil
        }
    }

    /// `import X`, `@_exported public import struct X.Y`: X.
    private static var importLine: Regex<(Substring, Substring)> {
        /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/
    }

    private enum Place: Equatable {
        case code
        case lineComment
        case blockComment(depth: Int)
        /// A literal that ends with `quotes` quotation marks and `hashes` number signs.
        case string(quotes: Int, hashes: Int)
    }

    private static func code(of text: String) -> String {
        let input = Array(text.unicodeScalars)
        var output = String.UnicodeScalarView()
        var place = Place.code
        var index = 0

        func has(_ word: String, at start: Int) -> Bool {
            let wanted = Array(word.unicodeScalars)
            return start + wanted.count <= input.count && Array(input[start..<start + wanted.count]) == wanted
        }
        func take(_ count: Int) {
            for scalar in input[index..<index + count] { output.append(scalar == "\n" ? "\n" : " ") }
            index += count
        }

        while index < input.count {
            switch place {
            case .code:
                let hashes = input[index...].prefix { $0 == "#" }.count
                if has("//", at: index) {
                    take(2)
                    place = .lineComment
                } else if has("/*", at: index) {
                    take(2)
                    place = .blockComment(depth: 1)
                } else if has("\"", at: index + hashes) {
                    let quotes = has("\"\"\"", at: index + hashes) ? 3 : 1
                    take(hashes + quotes)
                    place = .string(quotes: quotes, hashes: hashes)
                } else {
                    output.append(input[index])
                    index += 1
                }
            case .lineComment:
                if input[index] == "\n" { place = .code }
                take(1)
            case .blockComment(let depth):
                if has("/*", at: index) {
                    take(2)
                    place = .blockComment(depth: depth + 1)
                } else if has("*/", at: index) {
                    take(2)
                    place = depth == 1 ? .code : .blockComment(depth: depth - 1)
                } else {
                    take(1)
                }
            case .string(let quotes, let hashes):
                let escape = "\\" + String(repeating: "#", count: hashes)
                let end = String(repeating: "\"", count: quotes) + String(repeating: "#", count: hashes)
                if has(end, at: index) {
                    take(end.unicodeScalars.count)
                    place = .code
                } else if has(escape, at: index) {
                    take(min(hashes + 2, input.count - index))
                } else {
                    take(1)
                }
            }
        }
        return String(output)
    }
}
