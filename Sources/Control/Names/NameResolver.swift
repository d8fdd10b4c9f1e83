import PoiseLoop
import PoiseModel
import PoisePlatform

/// The addresses of targets that are names, asked again and again on a few threads of their own.
///
/// A name that stops resolving keeps the addresses it had: a broken name server must not take down what works. A name
/// that never resolved has none. Answers are sorted, because servers rotate them and order means nothing here.
final class NameResolver {
    struct Entry {
        /// Sorted; empty until the first good answer.
        var addresses: [IPAddress] = []
        /// Why the latest answer was none; `nil` after a good one.
        var problem: String?
        var interval: Nanoseconds
        var nextAt: MonotonicTime
        var isAsked = false
        var hasAnswered = false
    }

    private struct Waiter {
        var names: Set<String>
        var continuation: CheckedContinuation<Void, Never>
        var timer: LoopTimer
    }

    private(set) var entries: [String: Entry] = [:]
    /// Called when the addresses of a name are others than before.
    var changed: () -> Void = {}
    /// Called when a name stops resolving, or resolves again (`nil`).
    var problemChanged: (_ name: String, _ problem: String?, _ kept: Int) -> Void = { _, _, _ in }

    private let loop: EventLoop
    private let lookup: @Sendable (String) -> Resolver.Answer
    private let questions = Lock<[String]>([])
    private var threads: [Int: Thread] = [:]
    private var nextThread = 0
    private var waiters: [Int: Waiter] = [:]
    private var nextWaiter = 0

    /// Blocking lookups at once.
    private static let threadsMax = 4
    /// A name without an answer is asked again after this, or after its interval where that is shorter.
    private static let retryAfter = Nanoseconds.seconds(5)

    init(loop: EventLoop, lookup: @escaping @Sendable (String) -> Resolver.Answer) {
        (self.loop, self.lookup) = (loop, lookup)
    }

    /// By name; names without an address are missing.
    var addresses: [String: [IPAddress]] { entries.compactMapValues { $0.addresses.isEmpty ? nil : $0.addresses } }

    /// Asks for names that are new, and waits for their first answers, but not beyond `deadline`.
    ///
    /// - Parameter names: with the interval in which each is asked again.
    func learn(_ names: [String: Nanoseconds], deadline: MonotonicTime) async {
        for (name, interval) in names where entries[name] == nil {
            entries[name] = Entry(interval: interval, nextAt: .distantFuture)
            ask(name)
        }
        let missing = Set(names.keys.filter { entries[$0]?.hasAnswered == false })
        guard !missing.isEmpty else { return }
        await withCheckedContinuation { continuation in
            let number = nextWaiter
            nextWaiter += 1
            let timer = LoopTimer(loop: loop)
            timer.fired = { [unowned self] in finish(number) }
            timer.set(deadline)
            waiters[number] = Waiter(names: missing, continuation: continuation, timer: timer)
        }
    }

    /// These names and no others from now on.
    func keepOnly(_ names: [String: Nanoseconds]) {
        for name in Array(entries.keys) {
            guard let interval = names[name] else {
                entries[name] = nil
                continue
            }
            let earlier = loop.now + interval
            entries[name]?.interval = interval
            if let entry = entries[name], !entry.isAsked { entries[name]?.nextAt = min(entry.nextAt, earlier) }
        }
    }

    /// Asks what is due. Once a second.
    func tick(at now: MonotonicTime) {
        for (name, entry) in entries where !entry.isAsked && entry.nextAt <= now { ask(name) }
    }

    // MARK: Asking

    private func ask(_ name: String) {
        entries[name]?.isAsked = true
        questions.withLock { $0.append(name) }
        startThread()
    }

    private func startThread() {
        guard threads.count < Self.threadsMax else { return }
        let number = nextThread
        nextThread += 1
        let (questions, lookup, mailbox) = (questions, lookup, loop.mailbox)
        let me = LoopBound(self, on: loop)
        do {
            threads[number] = try Thread.start(name: "resolver") {
                while let name = questions.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                    let answer = lookup(name)
                    mailbox.post { me.open().answered(name, answer) }
                }
                mailbox.post { me.open().threadEnded(number) }
            }
        } catch {
            // Without a thread now, the next tick tries again.
            let waiting = questions.withLock { names in
                defer { names = [] }
                return names
            }
            for name in waiting { answered(name, .failed(error.description)) }
        }
    }

    private func threadEnded(_ number: Int) {
        threads.removeValue(forKey: number)?.join()
        if !questions.withLock({ $0.isEmpty }) { startThread() }
    }

    private func answered(_ name: String, _ answer: Resolver.Answer) {
        guard var entry = entries[name] else { return }
        let old = entry
        (entry.isAsked, entry.hasAnswered) = (false, true)
        switch answer {
        case .addresses([]):
            entry.problem = "no address"
            entry.nextAt = loop.now + min(entry.interval, Self.retryAfter)
        case .addresses(let found):
            entry.addresses = found.sorted { ($0.family.rawValue, $0.bits) < ($1.family.rawValue, $1.bits) }
            entry.problem = nil
            entry.nextAt = loop.now + entry.interval
        case .failed(let reason):
            entry.problem = reason
            entry.nextAt = loop.now + min(entry.interval, Self.retryAfter)
        }
        entries[name] = entry
        if entry.problem != old.problem { problemChanged(name, entry.problem, entry.addresses.count) }
        let waited = waiters.filter { $0.value.names.contains(name) }.map(\.key)
        for number in waited {
            waiters[number]?.names.remove(name)
            if waiters[number]?.names.isEmpty == true { finish(number) }
        }
        if entry.addresses != old.addresses { changed() }
    }

    private func finish(_ number: Int) {
        guard let waiter = waiters.removeValue(forKey: number) else { return }
        waiter.timer.end()
        waiter.continuation.resume()
    }
}
