import PoiseBalancing
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

@testable import PoiseControl

/// One worker on its simulated loop, and what is known of it from outside.
final class WorkerHost {
    let index: Int
    let loop: EventLoop
    let worker: Worker
    private let node: SimulatedNode
    private let bell = Bell()
    private let ring = RecordRing(capacity: 1 << 16)
    private var words = [UInt64](repeating: 0, count: AccessRecord.wordCount)
    private var text: [UInt8] = []
    /// Ended exchanges, by the access log.
    private(set) var records = 0
    var onRecord: ((_ record: AccessRecord, _ target: String) -> Void)?
    /// The machine has no time for this thread until then.
    var stalledUntil = MonotonicTime.zero

    /// Weights in force on this worker, by the id of the target's counters: what it was told in the letters that it
    /// has read. Targets of a group that is gone keep theirs, for exchanges that were on their way to it.
    private(set) var weights: [Int: Int32] = [:]
    private var groups: [Int: CompiledGroup] = [:]
    /// Since when which snapshot is in force, oldest first.
    private(set) var snapshots: [(since: MonotonicTime, snapshot: ProxySnapshot)] = []

    init(
        index: Int, network: SimulatedNetwork, seed: UInt64, reports: FailureReports, limits: ProcessLimiter,
        neighbours: Neighbours
    ) {
        self.index = index
        node = network.makeNode(ip: IPAddress(v4: 0x0A00_0001))
        loop = EventLoop(simulation: node)
        worker = Worker(
            index: index, loop: loop, seed: seed &+ UInt64(index),
            events: WorkerEvents(targetFailed: { slot, _, identity, count in
                reports.add(FailureReports.Report(slot: slot, identity: identity, count: count))
            }),
            log: AccessLog(ring: ring, bell: bell), limits: limits, neighbours: neighbours)
    }

    // MARK: Letters

    func post(_ letter: @escaping @Sendable (Worker) -> Void) {
        let bound = LoopBound(worker, on: loop)
        loop.mailbox.post { letter(bound.open()) }
    }

    func adopt(
        _ snapshot: ProxySnapshot, _ sockets: [ListenerSocket], deadline: MonotonicTime,
        _ availability: [Int: GroupAvailability]
    ) {
        let bound = LoopBound(self, on: loop)
        loop.mailbox.post {
            let host = bound.open()
            host.worker.adopt(snapshot, sockets: sockets, deadline: deadline, availability: availability)
            host.note(snapshot, availability)
        }
    }

    /// As the daemon's pool of workers does.
    func post(_ orders: [HealthOrder]) {
        let bound = LoopBound(self, on: loop)
        loop.mailbox.post {
            let host = bound.open()
            for order in orders {
                switch order {
                case .weights(let slot, let changes):
                    for change in changes {
                        host.worker.setWeight(change.weight, ofTarget: change.target, inGroup: slot)
                        host.note(change.weight, of: change.target, in: slot)
                    }
                case .availability(let slot, let availability):
                    host.worker.setAvailability(availability, ofGroup: slot)
                    for (target, weight) in availability.weights.enumerated() {
                        host.note(weight, of: target, in: slot)
                    }
                case .endFlows(let target): host.worker.endFlows(at: target)
                }
            }
        }
    }

    private func note(_ snapshot: ProxySnapshot, _ availability: [Int: GroupAvailability]) {
        snapshots.append((loop.now, snapshot))
        for group in snapshot.groups where groups[group.slot] !== group {
            // Of its former self, not of another group that had the slot before.
            if let old = groups[group.slot], old.counters === group.counters {
                for target in old.targets { weights[target.counters.id] = 0 }
            }
            groups[group.slot] = group
            for (index, target) in group.targets.enumerated() {
                weights[target.counters.id] = availability[group.slot]!.weights[index]
            }
        }
    }

    private func note(_ weight: Int32, of target: Int, in slot: Int) {
        weights[groups[slot]!.targets[target].counters.id] = weight
    }

    func weight(of target: CompiledTarget) -> Int32 { weights[target.counters.id] ?? 0 }

    // MARK: Stepping

    /// When it must be stepped; `nil`: not before an event.
    var wakeTime: MonotonicTime? {
        let wake = node.hasEvents ? loop.now : loop.nextStep
        return wake.map { max($0, stalledUntil) }
    }

    /// Letters that it has not read yet.
    var hasMail: Bool { loop.hasMail }

    func isRunnable(_ now: MonotonicTime) -> Bool { wakeTime.map { $0 <= now } ?? false }

    func step(at now: MonotonicTime, maxEvents: Int) {
        loop.step(at: now, node.takeEvents(max: maxEvents))
        while let (record, texts) = AccessRecord.pop(from: ring, &words, &text) {
            records += 1
            onRecord?(record, String(decoding: text[texts.target], as: UTF8.self))
        }
    }
}

/// What workers tell control about failing targets.
final class FailureReports: Sendable {
    struct Report: Sendable {
        let slot: Int
        let identity: UInt64
        let count: Int
    }

    private let reports = Lock<[Report]>([])
    func add(_ report: Report) { reports.withLock { $0.append(report) } }
    func take() -> [Report] {
        reports.withLock { list in
            defer { list = [] }
            return list
        }
    }
}
