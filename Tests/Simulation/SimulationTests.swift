import Foundation
import Testing

/// Seeds to run: `POISE_SEED=n` one of them with a trace, `POISE_SEEDS=n` so many.
private let environment = ProcessInfo.processInfo.environment
private let single = environment["POISE_SEED"].flatMap { UInt64($0) }
private let count = environment["POISE_SEEDS"].flatMap { UInt64($0) } ?? 300
/// Of each batch; batches run side by side.
private let batchSize: UInt64 = 10
private let batches =
    single.map { [$0..<$0 + 1] }
    ?? stride(from: 0, to: count, by: Int(batchSize)).map { $0..<min($0 + batchSize, count) }

@Suite("Workers on a simulated network: whatever a seed plays, the invariants of World hold")
struct SimulationTests {
    @Test("no invariant is broken", arguments: batches)
    func holds(seeds: Range<UInt64>) {
        let batch = seeds.lowerBound / batchSize
        defer { TrapReport.end(batch) }
        for seed in seeds {
            TrapReport.begin(seed, of: batch)
            let world = World(seed: seed, traces: single != nil)
            world.run()
            if let violation = world.violation {
                Issue.record(
                    "seed=\(seed) (\(world.scenario.kind.rawValue)): \(violation). Replay: POISE_SEED=\(seed) swift test --filter Simulation"
                )
            }
        }
    }

    @Test("the same seed plays the same run", arguments: [0, 5, 7, 13, 14, 21, 24, 27] as [UInt64])
    func replays(seed: UInt64) {
        let worlds = (0..<2).map { _ in World(seed: seed) }
        for world in worlds { world.run() }
        #expect(worlds[0].fingerprint == worlds[1].fingerprint)
        #expect(worlds[0].tally == worlds[1].tally)
        #expect(worlds[0].tally.answered > 0)
        let scenario = worlds[0].scenario
        #expect(worlds[0].tally.multiplexed > 0 || scenario.multiplexingClients < 100)
    }
}
