/// Rows of cells under a heading, in columns as wide as they need: for terminals.
struct TextTable {
    enum Color: String { case green = "32", yellow = "33", red = "31", bold = "1" }
    struct Cell {
        var text: String
        var color: Color?
        init(_ text: String, _ color: Color? = nil) { (self.text, self.color) = (text, color) }
    }

    private let heading: [String]
    /// Numbers stand at the right, texts at the left.
    private let isNumber: [Bool]
    private var rows: [[Cell]] = []

    /// - Parameter columns: a `#` in front marks a column of numbers.
    init(_ columns: [String]) {
        isNumber = columns.map { $0.hasPrefix("#") }
        heading = columns.map { $0.hasPrefix("#") ? String($0.dropFirst()) : $0 }
    }

    mutating func add(_ cells: [Cell]) {
        precondition(cells.count == heading.count, "one cell per column")
        rows.append(cells)
    }

    func render(isColored: Bool) -> String {
        var widths = heading.map(\.count)
        for row in rows {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.text.count) }
        }
        var text = ""
        line(heading.map { Cell($0, .bold) }, widths, isColored, &text)
        for row in rows { line(row, widths, isColored, &text) }
        return text
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ isColored: Bool, _ text: inout String) {
        for (column, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[column] - cell.text.count)
            if column > 0 { text += "  " }
            if isNumber[column] { text += padding }
            text += Self.paint(cell.text, cell.color, isColored)
            // No spaces at the end of a line.
            if !isNumber[column], column < cells.count - 1 { text += padding }
        }
        text += "\n"
    }

    static func paint(_ text: String, _ color: Color?, _ isColored: Bool) -> String {
        guard isColored, let color, !text.isEmpty else { return text }
        return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
    }
}
