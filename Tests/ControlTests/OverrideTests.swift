import PoiseModel
import Testing

@testable import PoiseControl

@Suite("Operators' weights: who ends them says so")
struct OverrideTests {
    @Test(
        "an apply that changes the file's weight of the target ends it, no other does; of a target that goes it is forgotten with it"
    )
    func ends() throws {
        let bench = Bench()
        let targets = [target(1), target(2, weight: 5), target(3), target(4)]
        try bench.apply(configuration([group("a", targets), group("b", [target(1)])]))
        for last in 1...3 {
            bench.engine.setWeight(last - 1, of: try #require(bench.engine.target(label(last), in: "a")), at: at(1))
        }
        bench.engine.setWeight(9, of: try #require(bench.engine.target(label(1), in: "b")), at: at(1))
        // Another order, another target with another weight, other settings.
        let others = [target(2, weight: 5), target(1), target(4, weight: 7), target(3)]
        try bench.apply(configuration([group("a", others) { $0.slowStart = .seconds(9) }, group("b", [target(1)])]), 2)
        #expect(bench.overrideEnds == [])
        try bench.apply(configuration([group("a", [target(2, weight: 5), target(1, weight: 2)])]), 3)
        let ends = try #require(bench.overrideEnds.first)
        #expect(bench.overrideEnds.count == 1)
        #expect(ends.first == [OverrideEnd(group: "a", target: label(1), weight: 0, configured: 2)])
        #expect(
            Set(bench.forgotten.map { "\($0.group) \($0.target) \($0.words)" }) == [
                "a \(label(3)) [\"weight 2\"]", "b \(label(1)) [\"weight 9\"]",
            ])
        #expect(bench.weights(of: "a") == [256, 512], "that of the second holds")
        // Once.
        try bench.apply(configuration([group("a", [target(2, weight: 5), target(1, weight: 3)])]), 4)
        #expect(bench.overrideEnds.count == 1)
    }

    @Test("eight are named at a time, and the others counted", arguments: [1, 8, 9, 30])
    func bounded(count: Int) throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", (1...count).map { target($0) })]))
        for last in 1...count {
            bench.engine.setWeight(0, of: try #require(bench.engine.target(label(last), in: "a")), at: at(1))
        }
        try bench.apply(configuration([group("a", (1...count).map { target($0, weight: 2) })]), 2)
        let lines = try #require(bench.overrideEnds.first).report
        #expect(lines.count == min(count, 8) + (count > 8 ? 1 : 0))
        #expect(lines.allSatisfy { $0.level == .info })
        #expect(lines[0].message == "an operator's weight has ended")
        if count > 8 { #expect(lines[8].line.hasSuffix("count=\(count - 8)")) }
    }
}
