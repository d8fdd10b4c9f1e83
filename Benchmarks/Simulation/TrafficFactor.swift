import PoiseHealth
import PoiseModel

/// What `adaptive` and `anomaly_mitigation` leave of weights, by Poise's own rules, asked once a second as control does.
struct TrafficFactor: WeightFactor {
    private let rules: GroupTraffic.Rules
    private var traffic = GroupTraffic()
    private var counts: [TrafficCounts]
    private var next = MonotonicTime.zero + .seconds(1)

    init(_ scenario: Scenario, adapts: Bool, mitigates: Bool) {
        rules = GroupTraffic.Rules(adapts: adapts, mitigates: mitigates)
        counts = Array(repeating: TrafficCounts(), count: scenario.targets.count)
        traffic.targets = Array(repeating: TargetTraffic(), count: scenario.targets.count)
    }

    mutating func ended(at target: Int, _ end: RequestEnd, after time: Nanoseconds, now: MonotonicTime) {
        guard end != .timedOut else { return counts[target].failures += 1 }
        counts[target].answers += 1
        if end != .answered { counts[target].serverErrors += 1 }
        counts[target].microseconds += Int(time.count / 1000)
    }

    mutating func weight(_ weight: Int, of target: Int, now: MonotonicTime) -> Int {
        if now >= next {
            for index in counts.indices { traffic.targets[index].observe(counts[index], at: now) }
            traffic.step(rules, at: now)
            next = now + .seconds(1)
        }
        traffic.targets[target].weight = weight
        return max(1, weight * traffic.targets[target].share / TargetTraffic.wholeShare)
    }
}
