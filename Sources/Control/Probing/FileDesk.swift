import PoiseLoop
import PoisePlatform

/// Looks at files on threads of its own, so that a file system that does not answer stops nothing else.
///
/// A thread lives while there are questions. One that is stuck keeps its path, and nobody else is sent there. With
/// ``threadsMax`` of them stuck nobody can be asked, and whoever asks hears nothing within its time.
final class FileDesk {
    static let threadsMax = 8

    private struct State {
        var queue: [String] = []
        /// Queued, or being looked at.
        var pending: Set<String> = []
        var threads = 0
    }

    private let loop: EventLoop
    private let state = Lock(State())
    /// Who wants to know of which path. One that asks again is told once.
    private var waiting: [String: [ObjectIdentifier: (FileState) -> Void]] = [:]

    private let see: @Sendable (String) -> FileState

    /// - Parameter see: looks at a path, blocking; called on threads of the desk.
    init(loop: EventLoop, see: @escaping @Sendable (String) -> FileState = { FileDesk.look($0) }) {
        (self.loop, self.see) = (loop, see)
    }

    /// - Parameters:
    ///   - asker: its later question takes the place of an earlier one.
    ///   - then: told on the loop, never before this returns, and not at all while the file system does not answer.
    func look(at path: String, for asker: AnyObject, then: @escaping (FileState) -> Void) {
        waiting[path, default: [:]][ObjectIdentifier(asker)] = then
        let wantsThread = state.withLock { state in
            if state.pending.insert(path).inserted { state.queue.append(path) }
            guard !state.queue.isEmpty, state.threads < Self.threadsMax else { return false }
            state.threads += 1
            return true
        }
        guard wantsThread else { return }
        let (shared, see, mailbox, me) = (state, see, loop.mailbox, LoopBound(self, on: loop))
        do throws(SystemError) {
            try Thread.start(name: "files") {
                Self.work(shared, see) { path, found in mailbox.post { me.open().answered(path, found) } }
            }.detach()
        } catch {
            // Whoever asks next tries again; nobody is told meanwhile.
            state.withLock { $0.threads -= 1 }
        }
    }

    private func answered(_ path: String, _ found: FileState) {
        for then in (waiting.removeValue(forKey: path) ?? [:]).values { then(found) }
    }

    private static func work(
        _ state: Lock<State>, _ see: (String) -> FileState, _ tell: (String, FileState) -> Void
    ) {
        while true {
            let next = state.withLock { state -> String? in
                guard state.queue.isEmpty else { return state.queue.removeFirst() }
                state.threads -= 1
                return nil
            }
            guard let path = next else { return }
            let found = see(path)
            _ = state.withLock { $0.pending.remove(path) }
            tell(path, found)
        }
    }

    static func look(_ path: String) -> FileState {
        do throws(SystemError) {
            _ = try Files.facts(of: path, followsLink: true)
            return .exists
        } catch {
            return error.code == Errno.notFound || error.code == Errno.notFolder ? .missing : .unknown(error.code)
        }
    }
}

@available(*, unavailable)
extension FileDesk: Sendable {}
