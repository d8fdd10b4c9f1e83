import PoiseLoop
import PoisePlatform

/// The workers of a process, for the rare message from one of them to the others.
public final class Neighbours: Sendable {
    private struct Member {
        let index: Int
        let mailbox: Mailbox
        let worker: LoopBound<Worker>
    }

    private let members = Lock<[Member]>([])

    public init() {}

    func join(_ worker: Worker) {
        let member = Member(
            index: worker.index, mailbox: worker.loop.mailbox, worker: LoopBound(worker, on: worker.loop))
        members.withLock { $0.append(member) }
    }

    func leave(_ index: Int) { members.withLock { $0.removeAll { $0.index == index } } }

    /// - Parameter letter: run by every worker but the `sender`, each on its own thread.
    func post(from sender: Int, _ letter: @escaping @Sendable (Worker) -> Void) {
        for member in members.withLock({ $0 }) where member.index != sender {
            let worker = member.worker
            member.mailbox.post { letter(worker.open()) }
        }
    }
}
