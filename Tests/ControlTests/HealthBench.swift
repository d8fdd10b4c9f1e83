import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

@testable import PoiseControl

/// An engine with probes that a test scripts, a clock that a test sets, and workers that only note their orders.
final class HealthBench: Probing {
    private(set) var running: [CheckRecord] = []
    private(set) var begun = 0
    private(set) var hurried: [CheckRecord] = []
    private(set) var weights: [Int: [Int32]] = [:]
    private(set) var failOpen: Set<Int> = []
    private(set) var cut: [CounterBlock] = []
    private(set) var orders = 0
    private(set) var transitions: [HealthTransition] = []
    private(set) var availability: [Availability] = []
    private(set) var minimum: [Bool] = []
    private(set) var files: [String] = []
    private(set) var forgotten: [ForgottenTarget] = []
    private(set) var weightEvents: [WeightEvent] = []
    private(set) var overrideEnds: [OverrideEnds] = []
    private var live = LiveObjects(workers: 1)
    private(set) var snapshot: ProxySnapshot?
    private var generation = 0
    private(set) var engine: HealthEngine!

    init() {
        engine = HealthEngine(
            prober: self, random: { 0 },
            order: { [unowned self] orders in
                for order in orders {
                    self.orders += 1
                    switch order {
                    case .weights(let slot, let changes):
                        for change in changes { weights[slot]![change.target] = change.weight }
                    case .availability(let slot, let value): adopt(slot, value)
                    case .endFlows(let counters): cut.append(counters)
                    }
                }
            },
            observe: { [unowned self] event in
                switch event {
                case .transition(let transition): transitions.append(transition)
                case .availability(_, _, let to): availability.append(to)
                case .minimum(_, let isMet): minimum.append(isMet)
                case .weight(let event): weightEvents.append(event)
                case .forgotten(let target): forgotten.append(target)
                case .overridesEnded(let ends): overrideEnds.append(ends)
                case .flagFile(let path, let problem): files.append("\(path): \(problem ?? "seen")")
                }
            })
    }

    private func adopt(_ slot: Int, _ value: GroupAvailability) {
        weights[slot] = value.weights
        if value.isFailOpen { failOpen.insert(slot) } else { failOpen.remove(slot) }
    }

    func begin(_ check: CheckRecord) {
        begun += 1
        running.append(check)
    }
    func hurry(_ check: CheckRecord) { hurried.append(check) }
    func end(_ check: CheckRecord) { running.removeAll { $0 === check } }

    /// - Parameter addresses: of names, the last numbers of 127.0.0.0/8.
    func apply(
        _ configuration: Configuration, unresolved: [String: [UnresolvedName]] = [:],
        addresses: [String: [UInt32]] = [:], _ now: Double = 0
    ) throws {
        let addresses = addresses.mapValues { $0.map { IPAddress(v4: 0x7F00_0000 + $0) } }
        var builder = SnapshotBuilder(live: live, addresses: addresses, tableWeights: engine.tableWeights)
        generation += 1
        let snapshot = try builder.build(configuration, generation: generation)
        live = builder.live
        self.snapshot = snapshot
        for (slot, value) in engine.adopt(snapshot, unresolved: unresolved, at: at(now)) { adopt(slot, value) }
    }

    /// One probe of every check of this address, with this result.
    func probe(_ last: Int, _ now: Double) { probe(last, nil, now) }

    func probe(_ last: Int, _ reason: TargetReason?, _ now: Double, port: UInt16 = 80) {
        for check in checks(of: last, port: port) {
            end(check, reason.map { .failed($0) } ?? .succeeded, .status(reason == nil ? 200 : 503), now)
        }
        engine.flush(at: at(now))
    }

    /// One look at a flag file by the checks of this address.
    func look(_ last: Int, at path: String, _ file: FileState, _ now: Double) {
        let outcome: ProbeResult.Outcome =
            file == .missing ? .succeeded : file == .exists ? .failed(.maintenanceFile) : .learntNothing
        for check in checks(of: last) { end(check, outcome, .file(path: path, file), now) }
        engine.flush(at: at(now))
    }

    /// One probe of one check, of three milliseconds.
    func end(_ check: CheckRecord, _ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail, _ now: Double) {
        check.state.probeStarted(at: at(now))
        let result = ProbeResult(outcome, detail, startedAt: at(now), duration: .milliseconds(3))
        engine.probeEnded(check, result, at: at(now))
    }

    private func checks(of last: Int, port: UInt16 = 80) -> [CheckRecord] {
        running.filter { $0.spec.address == .ip(IPAddress(v4: 0x7F00_0000 + UInt32(last)), port: port) }
    }

    func weights(of group: String) -> [Int32] {
        weights[snapshot!.groups.first { $0.settings.id == group }!.slot]!
    }
    func state(_ last: Int, in group: String = "a") -> TargetHealth.Status? {
        engine.target(label(last), in: group)?.health.status
    }
    func counters(_ last: Int, in group: String = "a") -> CounterRow {
        engine.target(label(last), in: group)!.compiled!.counters.row(0)
    }
}
