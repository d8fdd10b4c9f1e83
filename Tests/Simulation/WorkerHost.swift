import PoiseBalancing
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

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
    /// In force on this worker.
    private(set) var weights: [Int32]
    /// The machine has no time for this thread until then.
    var stalledUntil = MonotonicTime.zero

    init(
        index: Int, network: SimulatedNetwork, seed: UInt64, reports: FailureReports, limits: ProcessLimiter,
        neighbours: Neighbours, targets: Int
    ) {
        self.index = index
        node = network.makeNode(ip: IPAddress(v4: 0x0A00_0001))
        loop = EventLoop(simulation: node)
        weights = Array(repeating: Int32(EffectiveWeight.of(1)), count: targets)
        worker = Worker(
            index: index, loop: loop, seed: seed &+ UInt64(index),
            events: WorkerEvents(targetFailed: { _, target, _, _ in reports.add(target) }),
            log: AccessLog(ring: ring, bell: bell), limits: limits, neighbours: neighbours)
    }

    func post(_ letter: @escaping @Sendable (Worker) -> Void) {
        let bound = LoopBound(worker, on: loop)
        loop.mailbox.post { letter(bound.open()) }
    }

    func setAvailability(_ availability: GroupAvailability) {
        let bound = LoopBound(self, on: loop)
        loop.mailbox.post {
            let host = bound.open()
            host.weights = availability.weights
            host.worker.setAvailability(availability, ofGroup: 0)
        }
    }

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

    /// Exchanges that this worker has sent to each target so far.
    func targetRequests(_ group: CompiledGroup) -> [Int] {
        group.targets.map { Int($0.counters.row(index).load(TargetCounter.requests)) }
    }
}

/// What workers tell control about failing targets.
final class FailureReports: Sendable {
    private let targets = Lock<[Int]>([])
    func add(_ target: Int) { targets.withLock { $0.append(target) } }
    func take() -> [Int] {
        targets.withLock { list in
            defer { list = [] }
            return list
        }
    }
}
