import PoiseModel

@testable import PoiseHealth

/// Targets behind a balancer that sends by weight, second by second: what they get decides how they answer, and how they
/// answer what they get.
struct TrafficBench {
    struct Server {
        /// Milliseconds for an answer with nothing else to do.
        var time = 10.0
        /// Requests per second at which a queue would grow without end; 0: always `time`.
        var capacity = 0.0
        /// Part of its answers that are 500.
        var errors = 0.0
        /// Part of tries that find no connection.
        var failures = 0.0
        /// Tells its load.
        var reports = false
        var weight = 256
        var isUsable = true
    }

    var servers: [Server]
    /// Requests per second, of all.
    var rate: Double
    var rules: GroupTraffic.Rules
    var group = GroupTraffic()
    private(set) var second = 0
    private var counts: [TrafficCounts]
    private var owed: [Double]
    private var random: Seeded
    /// Of answer times, to either side.
    var noise = 0.0
    /// Shares of each second, by target.
    private(set) var history: [[Int]] = []

    init(
        _ servers: [Server], rate: Double = 1_000, adapts: Bool = true, mitigates: Bool = false, seed: UInt64 = 1
    ) {
        (self.servers, self.rate) = (servers, rate)
        rules = GroupTraffic.Rules(adapts: adapts, mitigates: mitigates)
        counts = servers.map { _ in TrafficCounts() }
        owed = servers.map { _ in 0 }
        random = Seeded(seed)
        group.targets = servers.map { _ in TargetTraffic() }
        observe()
    }

    var shares: [Int] { group.targets.map(\.share) }
    /// The share of one target in percent.
    func percent(_ index: Int) -> Int { group.targets[index].share * 100 / TargetTraffic.wholeShare }

    private mutating func observe() {
        for index in servers.indices {
            group.targets[index].isUsable = servers[index].isUsable
            group.targets[index].weight = servers[index].weight
            group.targets[index].observe(counts[index], at: at(Double(second)))
        }
    }

    mutating func run(seconds: Int) {
        for _ in 0..<seconds {
            let weights = servers.indices.map {
                servers[$0].isUsable ? Double(servers[$0].weight * group.targets[$0].share) : 0
            }
            let whole = max(1, weights.reduce(0, +))
            for index in servers.indices { serve(index, rate * weights[index] / whole) }
            second += 1
            observe()
            group.step(rules, at: at(Double(second)))
            history.append(shares)
        }
    }

    private mutating func serve(_ index: Int, _ rate: Double) {
        let server = servers[index]
        owed[index] += rate
        let requests = owed[index].rounded(.down)
        owed[index] -= requests
        var time = server.time
        // A single queue's mean: the service time / (1 - use), and no more than fifty times that.
        if server.capacity > 0 { time = server.time / max(0.02, 1 - rate / server.capacity) }
        time *= 1 + noise * (Double(random.next() >> 11) / 0x1p53 * 2 - 1)
        let failed = (requests * server.failures).rounded()
        let answers = requests - failed
        counts[index].answers += Int(answers)
        counts[index].failures += Int(failed)
        counts[index].serverErrors += Int((answers * server.errors).rounded())
        counts[index].microseconds += Int(answers * time * 1_000)
        guard server.reports, server.capacity > 0 else { return }
        counts[index].reports += Int(answers)
        counts[index].utilization += Int(answers * min(1, rate / server.capacity) * 65_536)
        counts[index].requestRate += Int(answers * rate * 1_000)
    }

    /// By how much a target's share moved in the last seconds, in percent.
    func swing(_ index: Int, last seconds: Int) -> Int {
        let tail = history.suffix(seconds).map { $0[index] }
        return (tail.max()! - tail.min()!) * 100 / TargetTraffic.wholeShare
    }
}
