import PoiseLoop
import PoiseModel
import PoisePlatform

/// Takes a snapshot over, a piece per wake-up: thousands of groups must not keep a worker from its traffic.
///
/// New and changed groups first, then the listeners, at once and with their sockets, then groups that are gone: a rule
/// never sends to a group that is not there. Whatever control says meanwhile waits until the end, see
/// ``Worker/inOrder(_:)``.
final class Adoption {
    private let snapshot: ProxySnapshot
    private let sockets: [ListenerSocket]
    private let closing: Set<Int>
    private let deadline: MonotonicTime
    private let availability: [Int: GroupAvailability]
    private var keptSlots: Set<Int>
    private var nextGroup = 0
    private var hasListeners = false
    private var nextSlot = 0

    /// Of one wake-up.
    private static var timeMax: Nanoseconds { .milliseconds(1) }
    /// Between two looks at the clock.
    private static var groupsPerLook: Int { 8 }

    init(
        _ snapshot: ProxySnapshot, _ sockets: [ListenerSocket], _ closing: Set<Int>, _ deadline: MonotonicTime,
        _ availability: [Int: GroupAvailability]
    ) {
        (self.snapshot, self.sockets, self.closing, self.deadline) = (snapshot, sockets, closing, deadline)
        self.availability = availability
        keptSlots = Set(minimumCapacity: snapshot.groups.count)
    }

    /// - Parameter hurries: to the end, however long it takes.
    /// - Returns: whether it is done.
    func goOn(_ worker: Worker, hurries: Bool) -> Bool {
        let end = hurries ? MonotonicTime.distantFuture : Clock.monotonic + Self.timeMax
        var renumbering = Renumbering()
        while nextGroup < snapshot.groups.count {
            adopt(snapshot.groups[nextGroup], worker, &renumbering)
            nextGroup += 1
            guard nextGroup % Self.groupsPerLook == 0, Clock.monotonic > end else { continue }
            renumbering.apply(worker)
            return false
        }
        if !hasListeners {
            replaceListeners(worker, &renumbering)
        }
        // Before any socket is opened or closed: that may begin exchanges, whose indices are new.
        renumbering.apply(worker)
        if !hasListeners {
            openAndCloseSockets(worker)
            hasListeners = true
        }
        while nextSlot < worker.groups.count {
            if !keptSlots.contains(nextSlot) {
                worker.groups[nextSlot]?.retire()
                worker.groups[nextSlot] = nil
            }
            nextSlot += 1
            if nextSlot % Self.groupsPerLook == 0, Clock.monotonic > end { return false }
        }
        return true
    }

    private func adopt(_ group: CompiledGroup, _ worker: Worker, _ renumbering: inout Renumbering) {
        let slot = group.slot
        keptSlots.insert(slot)
        while worker.groups.count <= slot { worker.groups.append(nil) }
        if let runtime = worker.groups[slot] {
            guard runtime.compiled !== group else { return }
            if let places = runtime.replace(with: group, on: worker, availability[slot]) {
                renumbering.targets[ObjectIdentifier(runtime)] = places
            }
        } else {
            worker.groups[slot] = GroupRuntime(worker: worker, compiled: group, availability[slot])
        }
    }

    private func replaceListeners(_ worker: Worker, _ renumbering: inout Renumbering) {
        for listener in snapshot.listeners {
            while worker.listeners.count <= listener.slot { worker.listeners.append(nil) }
            if let runtime = worker.listeners[listener.slot] {
                guard runtime.compiled !== listener else { continue }
                renumbering.rules[ObjectIdentifier(runtime)] = runtime.replace(with: listener)
            } else {
                worker.listeners[listener.slot] = ListenerRuntime(worker: worker, compiled: listener)
            }
        }
    }

    /// Whoever waits in the queue of a socket that is closed is accepted and read first.
    private func openAndCloseSockets(_ worker: Worker) {
        for socket in sockets {
            worker.listeners[socket.slot]?.listen(FileDescriptor(adopting: socket.descriptor), id: socket.id)
        }
        let kept = Set(snapshot.listeners.map(\.slot))
        for slot in worker.listeners.indices {
            guard let listener = worker.listeners[slot] else { continue }
            if kept.contains(slot) {
                if !closing.isEmpty { listener.close(sockets: closing) }
            } else {
                worker.listeners[slot] = nil
                worker.retire(listener, deadline)
            }
        }
    }
}

extension Worker {
    /// Takes a snapshot over: new objects appear, changed ones are replaced, removed ones drain. A large one is taken
    /// over in pieces, with traffic between them.
    ///
    /// - Parameters:
    ///   - sockets: listening sockets that are new.
    ///   - closing: ids of listening sockets that are given up: what waits in their queues is accepted first.
    ///   - deadline: connections of removed listeners end by then, see ``endOverdue(by:)``.
    ///   - availability: of groups that are new or changed, by group slot.
    public func adopt(
        _ snapshot: ProxySnapshot, sockets: [ListenerSocket] = [], closing: Set<Int> = [],
        deadline: MonotonicTime = .distantFuture, availability: [Int: GroupAvailability] = [:]
    ) {
        inOrder { worker in
            worker.adoption = Adoption(snapshot, sockets, closing, deadline, availability)
            worker.goOnAdopting()
        }
    }

    /// Runs `letter` now, or once the snapshot that is being taken over is in force.
    func inOrder(_ letter: @escaping (Worker) -> Void) {
        guard adoption != nil else { return letter(self) }
        behindAdoption.append { [unowned self] in letter(self) }
    }

    /// Calls `done` once every snapshot handed over so far is in force here.
    public func whenAdopted(_ done: @escaping () -> Void) { inOrder { _ in done() } }

    private func goOnAdopting() {
        guard let adoption else { return }
        guard adoption.goOn(self, hurries: false) else {
            let worker = LoopBound(self, on: loop)
            loop.mailbox.post { worker.open().goOnAdopting() }
            return
        }
        adopted()
    }

    /// At once and whole: something comes that concerns all that there is.
    func finishAdoption() {
        while let adoption {
            _ = adoption.goOn(self, hurries: true)
            adopted()
        }
    }

    private func adopted() {
        adoption = nil
        // Another snapshot may be among them; what is behind that one goes on waiting.
        while adoption == nil, !behindAdoption.isEmpty { behindAdoption.removeFirst()() }
    }
}

/// What became of indices in a new snapshot, for exchanges in progress: new index by old one, -1 where it is gone.
struct Renumbering {
    /// By group.
    var targets: [ObjectIdentifier: [Int]] = [:]
    /// By listener.
    var rules: [ObjectIdentifier: [Int]] = [:]

    func apply(_ worker: Worker) {
        guard !targets.isEmpty || !rules.isEmpty else { return }
        worker.forEachConnection { $0.forEachExchange { $0.renumber(self) } }
    }
}
