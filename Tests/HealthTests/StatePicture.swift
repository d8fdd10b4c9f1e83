import PoiseModel

/// The picture of a ``StateTable``, as SVG. States in service stand in one box: what an event does to all of them alike is one arrow.
struct StatePicture {
    private let table: StateTable
    private var parts: [String] = []

    private static let serving: [TargetState] = [.initial, .healthy, .unhealthy]

    private struct Arrow {
        var path: String
        /// Where the first line of its text stands, and how it is aligned.
        var x: Int, y: Int
        var anchor = "middle"
    }

    init(_ table: StateTable) { self.table = table }

    /// - Returns: `nil` when there is a transition that the picture has no place for.
    static func svg(of table: StateTable) -> String? {
        var picture = StatePicture(table)
        guard picture.drawArrows() else { return nil }
        for state in TargetState.allCases { picture.draw(state) }
        return picture.finished
    }

    private static func place(of state: TargetState) -> (x: Int, y: Int) {
        switch state {
        case .initial: (90, 210)
        case .healthy: (450, 90)
        case .unhealthy: (450, 330)
        case .draining: (840, 90)
        case .unused: (840, 330)
        }
    }

    private static func arrow(_ from: TargetState, _ to: TargetState) -> Arrow? {
        switch (from, to) {
        case (.initial, .healthy): Arrow(path: "M95,190 C115,110 240,78 388,82", x: 180, y: 84, anchor: "end")
        case (.healthy, .initial): Arrow(path: "M390,102 C290,112 190,140 132,189", x: 226, y: 152, anchor: "start")
        case (.initial, .unhealthy): Arrow(path: "M95,230 C115,310 240,342 388,338", x: 180, y: 334, anchor: "end")
        case (.unhealthy, .initial): Arrow(path: "M390,318 C290,308 190,280 132,231", x: 226, y: 262, anchor: "start")
        case (.healthy, .unhealthy): Arrow(path: "M465,110 C485,180 485,240 465,310", x: 488, y: 205, anchor: "start")
        case (.unhealthy, .healthy): Arrow(path: "M435,310 C415,240 415,180 435,110", x: 412, y: 198, anchor: "end")
        case (.draining, .unused): Arrow(path: "M840,112 L840,306", x: 830, y: 205, anchor: "end")
        case (.unused, .draining): Arrow(path: "M865,306 L865,112", x: 876, y: 225, anchor: "start")
        default: nil
        }
    }

    /// From the box, or to it.
    private static func boxArrow(_ state: TargetState, leaves: Bool) -> Arrow? {
        switch (state, leaves) {
        case (.draining, true): Arrow(path: "M590,78 L776,78", x: 683, y: 54)
        case (.draining, false): Arrow(path: "M776,102 L594,102", x: 683, y: 120)
        case (.unused, true): Arrow(path: "M590,318 L776,318", x: 683, y: 308)
        case (.unused, false): Arrow(path: "M776,342 L594,342", x: 683, y: 360)
        default: nil
        }
    }

    private mutating func drawArrows() -> Bool {
        for from in TargetState.allCases {
            for to in TargetState.allCases where from != to {
                let isServing = (Self.serving.contains(from), Self.serving.contains(to))
                let events = table.events(from: from, to: to)
                guard !events.isEmpty, isServing.0 == isServing.1 else { continue }
                guard let arrow = Self.arrow(from, to) else { return false }
                draw(arrow, events.map(\.rawValue))
            }
        }
        for outside in TargetState.allCases where !Self.serving.contains(outside) {
            for leaves in [true, false] {
                let sets = Set(
                    Self.serving.map {
                        leaves ? table.events(from: $0, to: outside) : table.events(from: outside, to: $0)
                    })
                // An event that does it from one state in service must do it from all of them.
                guard sets.count == 1, let events = sets.first else { return false }
                guard !events.isEmpty else { continue }
                guard let arrow = Self.boxArrow(outside, leaves: leaves) else { return false }
                draw(arrow, events.map { leaves ? $0.rawValue : "\($0.rawValue): as its checks say" })
            }
        }
        return true
    }

    private mutating func draw(_ arrow: Arrow, _ words: [String]) {
        parts.append("<path d=\"\(arrow.path)\" class=\"arrow\" marker-end=\"url(#tip)\"/>")
        for (line, word) in words.enumerated() {
            parts.append(
                "<text x=\"\(arrow.x)\" y=\"\(arrow.y + line * 16)\" text-anchor=\"\(arrow.anchor)\">\(word)</text>")
        }
    }

    private mutating func draw(_ state: TargetState) {
        let (x, y) = Self.place(of: state)
        parts.append(
            "<rect x=\"\(x - 60)\" y=\"\(y - 19)\" width=\"120\" height=\"38\" rx=\"8\" class=\"\(state.name)\"/>")
        parts.append("<text x=\"\(x)\" y=\"\(y + 5)\" text-anchor=\"middle\" class=\"name\">\(state.name)</text>")
    }

    private var finished: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1010 430" role="img" aria-label="States of a target">
        <style>
        svg { background: #ffffff; font: 13px sans-serif; }
        .box { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 5 4; }
        .arrow { fill: none; stroke: #57606a; stroke-width: 1.5; }
        text { fill: #24292f; }
        .name { font-weight: bold; }
        rect.initial { fill: #ddf4ff; stroke: #54aeff; }
        rect.healthy { fill: #dafbe1; stroke: #4ac26b; }
        rect.unhealthy { fill: #ffebe9; stroke: #ff8182; }
        rect.draining { fill: #fff8c5; stroke: #d4a72c; }
        rect.unused { fill: #eaeef2; stroke: #8c959f; }
        </style>
        <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
        <path d="M0,0 L8,4 L0,8 z" fill="#57606a"/></marker></defs>
        <rect x="14" y="30" width="576" height="380" rx="12" class="box"/>
        <text x="30" y="52">in service</text>
        \(parts.joined(separator: "\n"))
        </svg>

        """
    }
}
