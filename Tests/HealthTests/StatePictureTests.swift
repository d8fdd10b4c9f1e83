import Foundation
import PoiseHealth
import PoiseModel
import Testing

@Suite("The states of a target, as docs/health.md shows them")
struct StatePictureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs")
    private static let updates = ProcessInfo.processInfo.environment["POISE_UPDATE_FIXTURES"] != nil
    private static let marks = ("<!-- states: made from TargetHealth by HealthTests -->\n", "<!-- end of states -->")

    @Test("the picture is that of the code")
    func picture() throws {
        let file = Self.folder.appendingPathComponent("health-states.svg")
        let svg = try #require(StatePicture.svg(of: StateTable()), "a transition that the picture has no place for")
        if Self.updates { try svg.write(to: file, atomically: true, encoding: .utf8) }
        #expect(
            try String(contentsOf: file, encoding: .utf8) == svg, "POISE_UPDATE_FIXTURES=1 swift test draws it anew")
    }

    @Test("the table is that of the code")
    func table() throws {
        let file = Self.folder.appendingPathComponent("health.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: Self.marks.0))
        let end = try #require(text.range(of: Self.marks.1))
        let markdown = StateTable().markdown
        if Self.updates {
            let new = text.replacingCharacters(in: start.upperBound..<end.lowerBound, with: markdown)
            try new.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text[start.upperBound..<end.lowerBound] == markdown)
        }
    }

    @Test("from every state every other one can be reached, and no event leads nowhere")
    func reachable() {
        let table = StateTable()
        for from in TargetState.allCases {
            var reached: Set = [from]
            while true {
                let more = TargetState.allCases.filter { to in
                    reached.contains { !table.events(from: $0, to: to).isEmpty }
                }
                guard !reached.isSuperset(of: more) else { break }
                reached.formUnion(more)
            }
            #expect(reached.count == TargetState.allCases.count, "from \(from.name)")
        }
        for event in StateTable.Event.allCases {
            #expect(table.ends.contains { $0.key.event == event && $0.value != [$0.key.from] }, "\(event.rawValue)")
        }
    }
}
