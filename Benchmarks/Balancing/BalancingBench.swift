import Glibc
import PoiseBalancing
import PoiseModel

/// Nanoseconds per pick: `swift run -c release balancing-bench`.
///
/// Loads and weights are read through a view over arrays, as a worker's own copies are; each pick is followed by one
/// flow begun and one ended, so that loads move. Best of five runs, in CPU time. The argument is
/// the number of picks per run. `check` before it measures what there is a bound for, and says whether it holds.
@main struct BalancingBench {
    struct View: TargetView {
        var weights: [Int32]
        var loads: [Int32]
        var totalLoad = 0
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        @inline(__always) var count: Int { weights.count }
        @inline(__always) func weight(at index: Int) -> Int { Int(weights[index]) }
        @inline(__always) func load(at index: Int) -> Int { Int(loads[index]) }
        @inline(__always) func totalLoad(ofPart part: Int) -> Int { totalLoad }
        /// With the fading that a worker's cells need.
        @inline(__always) func answerTime(at index: Int) -> Int? {
            PeakAverage(word: UInt64(0x447A_0000) << 32 | UInt64(loads[index])).value(at: now)
        }
    }

    static let picks = CommandLine.arguments.dropFirst().last.flatMap { Int($0) } ?? 100_000

    static func main() {
        guard !CommandLine.arguments.dropFirst().contains("check") else {
            exit(CostCheck.run(picks: picks) ? 0 : 1)
        }
        print("algorithm                   weights        2      10     100   1,000  10,000  change at 10,000 (ns)")
        for algorithm in Algorithm.allCases where algorithm != .hash {
            row(algorithm, "equal") { _ in 256 }
            row(algorithm, "1...4") { 256 * (1 + $0 % 4) }
        }
        row(.roundRobin, "1...256") { 256 * (1 + $0 % 256) }
        row(.roundRobin, "all") { 1 + $0 * 6 }
        row(.leastConnections, "1...256") { 256 * (1 + $0 % 256) }
        row(.p2c, "1...256") { 256 * (1 + $0 % 256) }
        for table in HashTable.allCases {
            var options = AlgorithmOptions()
            options.table = table
            row(.hash, "\(table)", options: options) { _ in 256 }
            row(.hash, "  1...4", options: options) { 256 * (1 + $0 % 4) }
            row(.hash, "  half dead", options: options, usable: { $0 % 2 == 0 }) { _ in 256 }
            options.boundedLoadPercent = 125
            row(.hash, "  bounded", options: options) { _ in 256 }
        }
        row(.sourceHash, "half dead", usable: { $0 % 2 == 0 }) { _ in 256 }
        row(.p2c, "99% dead", usable: { $0 % 100 == 0 }) { _ in 256 }
        var wide = AlgorithmOptions()
        wide.choices = 16
        row(.p2c, "16 choices", options: wide) { _ in 256 }
        for algorithm in Algorithm.allCases { row(algorithm, "backups", isBackup: { $0 % 10 == 9 }) { _ in 256 } }
        // The own zone is small, so that flows leave it.
        for algorithm in Algorithm.allCases { row(algorithm, "3 zones", zones: 3) { _ in 256 } }
        for table in HashTable.allCases {
            var options = AlgorithmOptions()
            options.table = table
            row(.hash, "\(table) zones", options: options, zones: 3) { _ in 256 }
        }
        row(.roundRobin, "32 zones", zones: 32) { _ in 256 }
        row(.p2c, "32 zones", zones: 32) { _ in 256 }
        row(.hash, "32 zones", zones: 32) { _ in 256 }

        print("\nbuilding                    1,000 groups of 10 (µs)    one group of 10,000 (µs)")
        for algorithm in Algorithm.allCases where !algorithm.isKeyed { built(algorithm, algorithm.rawValue) }
        for table in HashTable.allCases {
            var options = AlgorithmOptions()
            options.table = table
            built(.hash, "hash \(table)", options)
        }
    }

    static func built(_ algorithm: Algorithm, _ name: String, _ options: AlgorithmOptions = AlgorithmOptions()) {
        let small = best { build(algorithm, options, groups: 1_000, targets: 10) } / 1e3
        let large = best { build(algorithm, options, groups: 1, targets: 10_000) } / 1e3
        print(padded(name, 28) + column(small) + "                    " + column(large))
    }

    static func row(
        _ algorithm: Algorithm, _ name: String, options: AlgorithmOptions = AlgorithmOptions(),
        usable: (Int) -> Bool = { _ in true },
        isBackup: (Int) -> Bool = { _ in false }, zones: Int = 1, weight: (Int) -> Int
    ) {
        var line = padded(algorithm.rawValue, 28) + padded(name, 12)
        var change = 0.0
        for count in [2, 10, 100, 1_000, 10_000] {
            let weights = (0..<count).map(weight)
            var scheduler = TieredScheduler(
                algorithm: algorithm, options: options, identities: (0..<count).map { mix64(UInt64($0)) },
                weights: weights, isBackup: (0..<count).map(isBackup), preference: preference(zones, count),
                flowsMax: 20, start: 12_345)
            var view = View(weights: weights.map { Int32($0) }, loads: Array(repeating: 0, count: count))
            for index in 0..<count where !usable(index) {
                view.weights[index] = 0
                scheduler.weightChanged(at: index, to: 0)
            }
            line += column(best { run(&scheduler, &view) })
            change = best { changes(&scheduler, weights) }
        }
        print(line + column(change))
    }

    /// One target of twenty is in the own zone.
    static func preference(_ zones: Int, _ count: Int) -> ZonePreference? {
        guard zones > 1 else { return nil }
        return ZonePreference(
            zones: (0..<count).map { $0 % 20 == 0 ? 0 : 1 + $0 % (zones - 1) }, seeds: (0..<zones).map { UInt64($0) },
            overloadPercent: 120)
    }

    /// As a worker's schedulers are built for an apply.
    @inline(never)
    static func build(_ algorithm: Algorithm, _ options: AlgorithmOptions, groups: Int, targets: Int) -> Double {
        let identities = (0..<targets).map { mix64(UInt64($0)) }
        let weights = Array(repeating: 256, count: targets)
        let start = now()
        let built = (0..<groups).map {
            TieredScheduler(
                algorithm: algorithm, options: options, identities: identities, weights: weights, start: UInt64($0))
        }
        let elapsed = now() - start
        precondition(built.count == groups)
        return Double(elapsed)
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    static func column(_ figure: Double) -> String {
        let text = String(Int(figure.rounded()))
        return String(repeating: " ", count: max(1, 8 - text.count)) + text
    }

    static func best(_ body: () -> Double) -> Double { (0..<5).map { _ in body() }.min()! }

    @inline(never)
    static func run(_ scheduler: inout TieredScheduler, _ view: inout View, picks: Int = picks) -> Double {
        var running = Array(repeating: 0, count: 256)
        var random: UInt64 = 1
        let start = now()
        for pick in 0..<picks {
            random = mix64(random &+ 0x9E37_79B9_7F4A_7C15)
            guard let target = scheduler.pick(from: view, key: random, random: random) else { fatalError("no target") }
            view.loads[target] += 1
            view.totalLoad = min(pick + 1, 256)
            if pick >= 256 { view.loads[running[pick % 256]] -= 1 }
            running[pick % 256] = target
        }
        let elapsed = now() - start
        for target in running { view.loads[target] -= 1 }
        return Double(elapsed) / Double(picks)
    }

    /// Down to 0 and back, spread over the group.
    @inline(never)
    static func changes(_ scheduler: inout TieredScheduler, _ weights: [Int]) -> Double {
        let start = now()
        for step in 0..<1_000 {
            let target = step * 7_919 % weights.count
            scheduler.weightChanged(at: target, to: 0)
            scheduler.weightChanged(at: target, to: weights[target])
        }
        return Double(now() - start) / 2_000
    }

    static func now() -> Int64 {
        var time = timespec()
        // SAFETY: the kernel writes one timespec, which lives on this stack frame.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
