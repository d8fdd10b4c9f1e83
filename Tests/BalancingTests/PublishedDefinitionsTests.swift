import PoiseModel
import Testing

@testable import PoiseBalancing

/// What others publish, as a few lines that look at nothing of ours.
///
/// Sources: ipvsadm(8), "scheduling-method": wrr, wlc (C / W), sed ((C + 1) / U), nq; the comments of Linux's `ip_vs_wrr.c`,
/// `ip_vs_sed.c` and `ip_vs_nq.c` on passes and on which of equals is taken; nginx's change of 2012-05-14 on smooth weighted
/// round robin; HAProxy's manual on `leastconn`.
private enum Published {
    /// nginx: everybody earns its weight, the richest (of equals the first) pays the sum of all.
    static func smooth(_ weights: [Int], picks: Int) -> [Int] {
        var credit = Array(repeating: 0, count: weights.count)
        return (0..<picks).map { _ in
            for index in weights.indices { credit[index] += weights[index] }
            let richest = weights.indices.filter { weights[$0] > 0 }.max { credit[$0] < credit[$1] }!
            let first = weights.indices.first { weights[$0] > 0 && credit[$0] == credit[richest] }!
            credit[first] -= weights.reduce(0, +)
            return first
        }
    }

    /// LVS `wrr`, one period: passes with a bar that falls from the highest weight by the greatest common divisor; whoever
    /// reaches the bar has a turn.
    static func passes(_ weights: [Int]) -> [Int] {
        let step = weights.reduce(0, greatestCommonDivisor)
        return stride(from: weights.max()!, to: 0, by: -step).flatMap { bar in
            weights.indices.filter { weights[$0] >= bar }
        }
    }

    /// A cost is a fraction; every target with the least, in order.
    private static func least(_ weights: [Int], _ load: (Int) -> Int) -> [Int] {
        let usable = weights.indices.filter { weights[$0] > 0 }
        return usable.filter { one in
            usable.allSatisfy { load(one) * weights[$0] <= load($0) * weights[one] }
        }
    }

    /// Those that the definition leaves to choose from. LVS takes the first.
    static func choices(_ algorithm: Algorithm, _ weights: [Int], _ flows: [Int]) -> [Int] {
        let idle = weights.indices.filter { weights[$0] > 0 && flows[$0] == 0 }
        switch algorithm {
        case .leastConnections: return least(weights) { flows[$0] }
        case .nq where !idle.isEmpty: return idle
        default: return least(weights) { flows[$0] + 1 }
        }
    }
}

@Suite("Algorithms against what LVS, nginx and HAProxy publish")
struct PublishedDefinitionsTests {
    private func letters(_ picked: [Int]) -> String {
        picked.map { String(UnicodeScalar(UInt8(97 + $0))) }.joined()
    }

    private func scheduler(_ algorithm: Algorithm, _ weights: [Int]) -> Scheduler {
        Scheduler(algorithm: algorithm, identities: [], weights: weights.map(EffectiveWeight.of), start: 0)
    }

    private func view(_ weights: [Int]) -> Targets { Targets(weights: weights.map(EffectiveWeight.of)) }

    @Test("the definitions themselves give the sequences that their authors print")
    func printed() {
        // nginx's commit message; the example of LVS's page on wrr: A, B, C with weights 4, 3, 2.
        #expect(letters(Published.smooth([5, 1, 1], picks: 7)) == "aabacaa")
        #expect(letters(Published.passes([4, 3, 2])) == "aababcabc")
    }

    @Test("round robin gives nginx's sequence for every group of up to 4 targets with weights of up to 6")
    func smooth() {
        for length in 1...4 {
            for weights in everyList(of: 0...6, length: length) where weights.contains(where: { $0 > 0 }) {
                var scheduler = scheduler(.roundRobin, weights)
                let picks = 2 * weights.reduce(0, +)
                let view = view(weights)
                let picked = (0..<picks).map { _ in scheduler.pick(from: view, key: 0, random: 0)! }
                guard picked == Published.smooth(weights, picks: picks) else {
                    Issue.record("\(weights): \(letters(picked))")
                    return
                }
            }
        }
    }

    @Test("round robin gives everybody as many turns per period as LVS's wrr")
    func passes() {
        for weights in everyList(of: 1...6, length: 3) {
            let published = Published.passes(weights)
            var scheduler = scheduler(.roundRobin, weights)
            let view = view(weights)
            for _ in 0..<2 {
                let picked = published.map { _ in scheduler.pick(from: view, key: 0, random: 0)! }
                #expect(picked.sorted() == published.sorted(), "\(weights)")
            }
        }
    }

    @Test(
        "flows that only come: LVS's sequence, and ours, which differs from it only among equals",
        arguments: [
            (.sed, [3, 1], "aaabaaab", "aaabaaab"),
            (.sed, [2, 1], "aabaabaab", "aababaaab"),
            (.sed, [1, 10], "bbbbbbbbbabb", "bbbbbbbbbbab"),
            (.nq, [3, 1], "abaaaaab", "abaaaaab"),
            (.nq, [1, 10, 1], "abcbbbbbbbbbb", "bacbbbbbbbbbb"),
            (.leastConnections, [3, 1], "abaaabaa", "abaaabaa"),
            (.leastConnections, [1, 1, 1], "abcabc", "abccba"),
        ] as [(Algorithm, [Int], String, String)])
    func sequences(algorithm: Algorithm, weights: [Int], lvs: String, ours: String) {
        var flows = Array(repeating: 0, count: weights.count)
        let published = lvs.map { _ in
            let first = Published.choices(algorithm, weights, flows)[0]
            flows[first] += 1
            return first
        }
        #expect(letters(published) == lvs)
        var scheduler = scheduler(algorithm, weights)
        var view = view(weights)
        let picked = ours.map { _ in
            let target = scheduler.pick(from: view, key: 0, random: 0)!
            #expect(Published.choices(algorithm, weights, view.loads).contains(target))
            view.loads[target] += 1
            return target
        }
        #expect(letters(picked) == ours)
    }

    @Test(
        "flows that come and go: LVS's choice wherever there is only one, and one of its equals elsewhere",
        arguments: [Algorithm.leastConnections, .sed, .nq], [UInt64](1...3))
    func traces(algorithm: Algorithm, seed: UInt64) {
        var random = Seeded(seed)
        var decided = 0
        let picks = 6_000
        for group in 0..<12 {
            let weights = (0..<2 + group % 5).map { _ in Int.random(in: 0...9, using: &random) } + [1 + group]
            var scheduler = scheduler(algorithm, weights)
            var view = view(weights)
            var running: [Int] = []
            for _ in 0..<picks / 12 {
                let choices = Published.choices(algorithm, weights, view.loads)
                let target = scheduler.pick(from: view, key: 0, random: random.next())!
                guard choices.contains(target) else {
                    Issue.record("\(weights), \(view.loads): \(target) and not one of \(choices), seed \(seed)")
                    return
                }
                if choices.count == 1 { decided += 1 }
                view.loads[target] += 1
                running.append(target)
                while running.count > 30 || !running.isEmpty && Int.random(in: 0..<5, using: &random) < 2 {
                    running.swapAt(Int.random(in: 0..<running.count, using: &random), running.count - 1)
                    view.loads[running.removeLast()] -= 1
                }
            }
        }
        #expect(decided * 4 > picks, "\(decided) of \(picks) choices had no equals, seed \(seed)")
    }

    @Test("nq is HAProxy's leastconn: an idle server costs nothing, a busy one (flows + 1) / weight")
    func leastconn() {
        for weights in everyList(of: 1...3, length: 3) {
            for flows in everyList(of: 0...3, length: 3) {
                let costs = zip(flows, weights).map { $0 == 0 ? 0 : Double($0 + 1) / Double($1) }
                let least = costs.indices.filter { costs[$0] - costs.min()! < 1e-9 }
                #expect(Published.choices(.nq, weights, flows) == least)
            }
        }
    }
}
