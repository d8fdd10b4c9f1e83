import PoiseBalancing
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseSimulation
import Testing

@testable import PoiseProxy

/// A large snapshot is taken over in pieces; what these are depends on the machine, what comes of them must not.
@Suite("Taking over a large snapshot")
struct AdoptionTests {
    private static let groups = 3000
    private let loop: EventLoop
    private let worker: Worker

    init() {
        let network = SimulatedNetwork(seed: 1, settings: NetworkSettings())
        loop = EventLoop(simulation: network.makeNode(ip: IPAddress(v4: 0x0A00_0001)))
        worker = Worker(
            index: 0, loop: loop, seed: 1, events: WorkerEvents(targetFailed: { _, _, _, _ in }), log: nil,
            limits: ProcessLimiter(connectionsMax: 10), neighbours: Neighbours())
    }

    private func snapshot(_ generation: Int, groups: Range<Int>) -> ProxySnapshot {
        ProxySnapshot(generation: generation, listeners: [], groups: groups.map(Self.compile))
    }

    private static func compile(slot: Int) -> CompiledGroup {
        let targets = (0..<4).map { index in
            CompiledTarget(
                address: .ip(IPAddress(v4: 0x0A00_0100 + UInt32(index)), port: 80),
                settings: Target(address: .name("t\(index)", port: 80)), label: "t\(index)", hostHeader: "t\(index)",
                identity: UInt64(index), counters: CounterBlock(workers: 1, width: TargetCounter.width), limit: nil)
        }
        return CompiledGroup(
            slot: slot, settings: TargetGroup(id: "g\(slot)", name: "g\(slot)", targets: []), targets: targets,
            counters: CounterBlock(workers: 1, width: GroupCounter.width), totalTime: Histogram(workers: 1),
            targetTime: Histogram(workers: 1), queue: nil)
    }

    private func post(_ letter: @escaping @Sendable (Worker) -> Void) {
        let bound = LoopBound(worker, on: loop)
        loop.mailbox.post { letter(bound.open()) }
    }

    /// - Returns: wake-ups until no letter was left.
    private func run() -> Int {
        var wakeUps = 0
        repeat {
            loop.step(at: loop.now, [])
            wakeUps += 1
        } while loop.hasMail
        return wakeUps
    }

    private func picks(_ slot: Int) -> Int? {
        worker.groups[slot]?.pick(key: 0, random: 0, excluding: Exclusions(), at: .zero)
    }

    @Test("it takes several wake-ups, and what comes behind it waits for its end")
    func pieces() {
        let (first, second) = (snapshot(1, groups: 0..<Self.groups), snapshot(2, groups: 0..<10))
        let last = Self.groups - 1
        post { worker in
            worker.adopt(first)
            #expect(worker.adoption != nil, "too small to be taken over in pieces")
            worker.setAvailability(GroupAvailability(weights: [0, 0, 0, 0]), ofGroup: last)
            worker.setWeight(Int32(EffectiveWeight.of(1)), ofTarget: 2, inGroup: last)
            // Overtakes nothing: the order is kept over snapshots, too.
            worker.adopt(second)
            worker.setWeight(0, ofTarget: 0, inGroup: 5)
            #expect(worker.groups[0] != nil, "a piece is in force at once")
        }
        #expect(run() > 2)
        #expect(worker.adoption == nil && worker.behindAdoption.isEmpty)
        #expect(worker.groups.indices.compactMap { worker.groups[$0]?.compiled.slot } == Array(0..<10))
        #expect((0..<8).map { _ in picks(5) }.allSatisfy { $0 != 0 && $0 != nil })
    }

    @Test("orders that wait for it take effect on the groups that it brings")
    func orders() {
        let last = Self.groups - 1
        let all = snapshot(1, groups: 0..<Self.groups)
        post { worker in
            worker.adopt(all)
            worker.setAvailability(GroupAvailability(weights: [0, 0, 0, 0]), ofGroup: last)
            worker.setWeight(Int32(EffectiveWeight.of(1)), ofTarget: 2, inGroup: last)
        }
        _ = run()
        #expect((0..<4).map { _ in picks(last) } == [2, 2, 2, 2])
        #expect(Set((0..<4).map { _ in picks(0) }) == [0, 1, 2, 3])
    }

    @Test("the end of the process does not wait for it")
    func hurries() {
        let all = snapshot(1, groups: 0..<Self.groups)
        post { worker in
            worker.adopt(all)
            worker.closeAll()
            #expect(worker.adoption == nil)
            #expect(worker.groups.count == Self.groups)
        }
        _ = run()
    }
}
