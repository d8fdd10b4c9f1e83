import PoiseLive
import PoisePlatform
import Testing

@Suite("Counters of targets over workers")
struct CounterBlockTests {
    private static let workers = 4
    private static let targets = 64
    private static let events = 250_000

    /// What one worker has left, and what it has counted by itself.
    private struct Tally: Sendable {
        var running: [Int] = []
        var begun = 0
        var ended = 0
        var cancelled = 0
    }

    /// SplitMix64.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    @Test(
        "flows in progress are exact after a million begins, ends and cancels on four threads",
        arguments: [UInt64](1...2))
    func exact(seed: UInt64) throws {
        let blocks = (0..<Self.targets).map { _ in CounterBlock(workers: Self.workers, width: TargetCounter.width) }
        let tallies = Lock([Tally](repeating: Tally(), count: Self.workers))
        // Flows that began on one worker and end on another, as those that wait for a slot do.
        let handedOn = Lock([Int]())
        let threads = try (0..<Self.workers).map { worker in
            try Thread.start(name: "worker-\(worker)") {
                let rows = blocks.map { $0.row(worker) }
                var random = Seeded(state: seed &* 1_000 &+ UInt64(worker))
                var tally = Tally()
                func leave(_ target: Int) {
                    rows[target].subtract(TargetCounter.inFlight)
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        rows[target].add(TargetCounter.failures)
                        tally.cancelled += 1
                    } else {
                        rows[target].add(TargetCounter.status2xx)
                        tally.ended += 1
                    }
                }
                for _ in 0..<Self.events {
                    switch Int.random(in: 0..<8, using: &random) {
                    case 0...3:
                        let target = Int.random(in: 0..<Self.targets, using: &random)
                        rows[target].add(TargetCounter.inFlight)
                        rows[target].add(TargetCounter.requests)
                        tally.running.append(target)
                        tally.begun += 1
                    case 4 where !tally.running.isEmpty:
                        let target = tally.running.removeLast()
                        handedOn.withLock { $0.append(target) }
                    case 5:
                        if let target = handedOn.withLock({ $0.popLast() }) { leave(target) }
                    default:
                        guard !tally.running.isEmpty else { continue }
                        let index = Int.random(in: 0..<tally.running.count, using: &random)
                        tally.running.swapAt(index, tally.running.count - 1)
                        leave(tally.running.removeLast())
                    }
                }
                let result = tally
                tallies.withLock { $0[worker] = result }
            }
        }
        for thread in threads { thread.join() }

        let all = tallies.withLock { $0 }
        let waiting = handedOn.withLock { $0 }
        var left = [Int](repeating: 0, count: Self.targets)
        for target in all.flatMap(\.running) + waiting { left[target] += 1 }
        #expect(blocks.map { $0.gauge(TargetCounter.inFlight) } == left, "seed \(seed)")
        func sum(_ counter: Int) -> Int { blocks.reduce(0) { $0 + Int($1.sum(counter)) } }
        #expect(sum(TargetCounter.requests) == all.reduce(0) { $0 + $1.begun })
        #expect(sum(TargetCounter.status2xx) == all.reduce(0) { $0 + $1.ended })
        #expect(sum(TargetCounter.failures) == all.reduce(0) { $0 + $1.cancelled })

        for (worker, tally) in all.enumerated() {
            for target in tally.running { blocks[target].row(worker).subtract(TargetCounter.inFlight) }
        }
        for target in waiting { blocks[target].row(0).subtract(TargetCounter.inFlight) }
        #expect(blocks.allSatisfy { $0.gauge(TargetCounter.inFlight) == 0 })
    }

    @Test("a word that is no count is read as its worker wrote it")
    func words() {
        let block = CounterBlock(workers: 2, width: TargetCounter.width)
        block.row(1).store(TargetCounter.answerTime, .max)
        #expect(block.word(TargetCounter.answerTime, of: 0) == 0)
        #expect(block.word(TargetCounter.answerTime, of: 1) == .max)
    }
}
