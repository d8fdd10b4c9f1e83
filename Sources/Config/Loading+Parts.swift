import PoiseModel
import PoiseYAML

extension Loading {
    /// Where in `range` the file first writes `part`, within a line; all of `range` where it does not, as with a value that
    /// comes from elsewhere or is written in escapes.
    func narrowed(_ range: SourceRange, to part: String) -> SourceRange {
        for number in range.start.line...max(range.start.line, range.end.line) {
            let start = SourcePosition(line: Int(number), column: 1)
            var line = Array(sourceLine(start, file: range.file).unicodeScalars)
            if number == range.end.line { line = Array(line.prefix(Int(range.end.column) - 1)) }
            let first = number == range.start.line ? Int(range.start.column) - 1 : 0
            let wanted = Array(part.unicodeScalars)
            guard !wanted.isEmpty, first + wanted.count <= line.count else { continue }
            for at in first...(line.count - wanted.count) where line[at..<at + wanted.count].elementsEqual(wanted) {
                return SourceRange(
                    file: Int(range.file), start: .init(line: Int(number), column: at + 1),
                    end: .init(line: Int(number), column: at + 1 + wanted.count))
            }
        }
        return range
    }
}
