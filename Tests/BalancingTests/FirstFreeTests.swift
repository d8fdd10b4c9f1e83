import Testing

@testable import PoiseBalancing

@Suite("First with room")
struct FirstFreeTests {
    @Test("fills targets in order, and names the first when all are full")
    func order() {
        var first = FirstFree(count: 3, flowsMax: 2)
        var view = Targets(weights: [1, 256, 1])
        let picked = (0..<7).map { _ in
            let target = first.pick(from: view)!
            view.loads[target] += 1
            return target
        }
        #expect(picked == [0, 0, 1, 1, 2, 2, 0])
        view.loads = [2, 1, 0]
        #expect(first.pick(from: view) == 1)
        view.loads[0] = 1
        #expect(first.pick(from: view) == 0)
        #expect(first.pick(from: view, excluding: Exclusions([0])) == 1)
        view.weights[1] = 0
        #expect(first.pick(from: view, excluding: Exclusions([0])) == 2)
        #expect(first.pick(from: view, excluding: Exclusions([0, 2])) == nil)
        view.weights = [0, 0, 0]
        #expect(first.pick(from: view) == nil)
    }

    @Test(
        "never leaves room unused, and finds room before the mark within n / 64 picks", arguments: [129, 1_000, 5_000])
    func large(count: Int) {
        let full = 3
        var first = FirstFree(count: count, flowsMax: full)
        var view = Targets(weights: Array(repeating: 256, count: count))
        for flow in 0..<count * full {
            let target = first.pick(from: view)!
            #expect(target == flow / full)
            view.loads[target] += 1
        }
        #expect(first.pick(from: view) == 0, "all are full")
        for freed in [count - 1, count / 2, 0] {
            view.loads[freed] -= 1
            let picks = (0...count / FirstFree.recheckMax + 1).map { _ in first.pick(from: view)! }
            #expect(picks.contains(freed))
            view.loads[freed] += 1
        }
    }

    @Test("passes over closed targets of a large group")
    func closed() {
        var first = FirstFree(count: 1_000, flowsMax: 1)
        var view = Targets(weights: Array(repeating: 0, count: 1_000))
        #expect(first.pick(from: view) == nil)
        view.weights[777] = 1
        for _ in 0..<20 { #expect(first.pick(from: view) == 777) }
        #expect(first.pick(from: view, excluding: Exclusions([777])) == nil)
    }
}
