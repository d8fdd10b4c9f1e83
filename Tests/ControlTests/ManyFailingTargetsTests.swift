import PoiseHealth
import PoiseModel
import PoiseProxy
import PoiseSimulation
import Testing

@testable import PoiseControl

/// Probes on a clock of its own: each check is looked at exactly when it is due, and hears at once how its target is.
private final class ScriptedProber: Probing {
    private(set) var now = at(0)
    private(set) var probes = 0
    private var due: [MonotonicTime: [CheckRecord]] = [:]
    private let isAlive: (CheckRecord, MonotonicTime) -> Bool
    unowned var engine: HealthEngine!

    init(isAlive: @escaping (CheckRecord, MonotonicTime) -> Bool) { self.isAlive = isAlive }

    func begin(_ check: CheckRecord) { schedule(check) }
    func hurry(_ check: CheckRecord) {}
    func end(_ check: CheckRecord) {}

    /// 10 ms are one moment.
    private func schedule(_ check: CheckRecord) {
        let due = (check.state.nextProbe!.nanoseconds + 9_999_999) / 10_000_000
        let next = max(due, now.nanoseconds / 10_000_000 + 1)
        self.due[MonotonicTime(nanoseconds: next * 10_000_000), default: []].append(check)
    }

    /// Lets 10 ms pass.
    func step() {
        now = now + .milliseconds(10)
        guard let checks = due.removeValue(forKey: now) else { return }
        for check in checks {
            probes += 1
            check.state.probeStarted(at: now)
            let result = ProbeResult(
                isAlive(check, now) ? .succeeded : .failed(.connectionRefused), .connected, startedAt: now,
                duration: .zero)
            engine.probeEnded(check, result, at: now)
            schedule(check)
        }
        engine.flush(at: now)
    }
}

@Suite("Ten thousand targets")
struct ManyFailingTargetsTests {
    private struct Outage {
        var from: Double
        var to: Double
    }

    @Test(
        "of 10,000 targets in 200 groups, 5 % of them dead at any moment for a minute, no death and no return is missed"
    )
    func noMissedTransition() throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        var random = SeededRandom(seed)
        let (groupCount, each, length) = (200, 50, 60.0)
        var check = HealthCheck()
        (check.interval, check.timeout, check.edgeInterval) = (.seconds(2), .milliseconds(500), .milliseconds(500))
        // Long enough to be found out, with 20 ms for the clock's steps; then long enough to be seen well again.
        let patience = Double(check.detectionTimeMax.count) / 1e9 + 0.1
        var outages: [String: [Outage]] = [:]
        var dead = 0.0
        var groups: [TargetGroup] = []
        for number in 0..<groupCount {
            var targets: [Target] = []
            for member in 0..<each {
                let ip = IPAddress(v4: UInt32(0x7F00_0000 + (number << 8) + member + 1))
                let target = Target(address: .ip(ip, port: 80))
                targets.append(target)
                var time = Double.random(in: 6...160, using: &random)
                while time + patience < length {
                    let end = time + Double.random(in: patience...6, using: &random)
                    outages["\(target.address)", default: []].append(Outage(from: time, to: end))
                    dead += min(end, length) - time
                    time = end + Double.random(in: patience...100, using: &random)
                }
            }
            groups.append(group("g\(number)", targets) { $0.healthCheck = check })
        }
        let share = dead / (length * Double(groupCount * each))
        #expect((0.02...0.08).contains(share), "seed \(seed)")

        let prober = ScriptedProber { check, now in
            let seconds = Double(now.nanoseconds) / 1e9
            return outages[check.users[0].label]?.contains { $0.from <= seconds && seconds < $0.to } != true
        }
        var seen: [String: [HealthTransition]] = [:]
        var phases = SeededRandom(seed + 1)
        let engine = HealthEngine(
            prober: prober, random: { phases.next() }, order: { _ in },
            observe: { if case .transition(let change) = $0 { seen[change.target, default: []].append(change) } })
        prober.engine = engine
        var builder = SnapshotBuilder(live: LiveObjects(workers: 1))
        let snapshot = try builder.build(configuration(groups), generation: 1)
        _ = engine.adopt(snapshot, at: prober.now)
        while prober.now < at(length) { prober.step() }

        for group in groups {
            for target in group.targets {
                let label = "\(target.address)"
                let changes = (seen[label] ?? []).dropFirst()  // initial -> healthy
                var expected: [(TargetState, Double)] = []
                for outage in outages[label] ?? [] {
                    expected.append((.unhealthy, outage.from))
                    if outage.to + patience < length { expected.append((.healthy, outage.to)) }
                }
                let late = outages[label]?.last.map { $0.to + patience >= length } ?? false
                #expect(
                    changes.count == expected.count || (late && changes.count == expected.count + 1),
                    "\(label), seed \(seed): \(changes.map(\.to)) for \(expected)")
                for (change, wanted) in zip(changes, expected) {
                    let time = Double(change.to.since.nanoseconds) / 1e9
                    #expect(
                        change.to.state == wanted.0 && (wanted.1...wanted.1 + patience).contains(time),
                        "\(label), seed \(seed): \(change.to) for \(wanted)")
                }
            }
        }
        #expect(prober.probes > groupCount * each * 25, "seed \(seed)")
    }

}
