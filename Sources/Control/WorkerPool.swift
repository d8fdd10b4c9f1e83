import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy

/// The worker threads, as control sees them: places to post to.
@ControlActor
final class WorkerPool {
    /// One worker, reachable from other threads by mailbox only.
    struct Member: Sendable {
        let mailbox: Mailbox
        let worker: LoopBound<Worker>
        let ring: RecordRing?

        func post(_ letter: @escaping @Sendable (Worker) -> Void) {
            let worker = worker
            mailbox.post { letter(worker.open()) }
        }
    }

    private(set) var members: [Member] = []
    private var threads: [Thread] = []
    let bell = Bell()
    private let neighbours = Neighbours()

    var count: Int { members.count }

    /// Starts `count` threads and waits until their loops stand.
    ///
    /// - Parameter ringBytes: per worker, for the access log; `nil` without one.
    func start(count: Int, ringBytes: Int?, limits: ProcessLimiter, events: WorkerEvents) async throws(SystemError) {
        for index in 0..<count {
            let seed = SystemRandom.word
            let ring = ringBytes.map { RecordRing(capacity: $0) }
            let bell = self.bell
            let neighbours = self.neighbours
            let made: Result<Member, SystemError> = await received { hand in
                do throws(SystemError) {
                    let thread = try Thread.start(name: "worker-\(index)") {
                        let loop = EventLoop()
                        let worker = Worker(
                            index: index, loop: loop, seed: seed, events: events,
                            log: ring.map { AccessLog(ring: $0, bell: bell) }, limits: limits,
                            neighbours: neighbours)
                        hand(
                            .success(
                                Member(mailbox: loop.mailbox, worker: LoopBound(worker, on: loop), ring: ring)))
                        loop.run()
                    }
                    threads.append(thread)
                } catch let error {
                    hand(.failure(error))
                }
            }
            members.append(try made.get())
        }
    }

    func postToAll(_ letter: @escaping @Sendable (Worker) -> Void) {
        for member in members { member.post(letter) }
    }

    /// Has the workers do what health decided; in order with the snapshots, which go the same way.
    func post(_ orders: [HealthOrder]) {
        postToAll { worker in
            for order in orders {
                switch order {
                case .weights(let slot, let changes):
                    for change in changes { worker.setWeight(change.weight, ofTarget: change.target, inGroup: slot) }
                case .availability(let slot, let availability): worker.setAvailability(availability, ofGroup: slot)
                case .endFlows(let target): worker.endFlows(at: target)
                }
            }
        }
    }

    /// Asks each worker and waits for all answers.
    func ask<Answer: Sendable>(_ question: @escaping @Sendable (Worker) -> Answer) async -> [Answer] {
        var answers: [Answer] = []
        for member in members {
            answers.append(await received { hand in member.post { hand(question($0)) } })
        }
        return answers
    }

    /// Returns when each worker serves by the snapshot it was given last.
    func waitUntilAdopted() async {
        for member in members {
            await withCheckedContinuation { continuation in
                member.post { $0.whenAdopted { continuation.resume() } }
            }
        }
    }

    /// Ends the loops and waits for the threads.
    func stop() {
        postToAll { worker in
            worker.closeAll()
            worker.loop.stop()
        }
        for thread in threads { thread.join() }
    }
}
