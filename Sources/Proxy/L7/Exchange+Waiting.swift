import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// Waiting where `max_connections` is reached: for a slot of any target of the group; then, with the slot in hand, for
/// a connection where pools of other workers hold all that the target may have. With HTTP/2, waiting for a place in a
/// connection. One bound and one deadline for all.
extension Exchange {
    // MARK: For a slot

    /// The client has closed its side. It may have done so only to say that nothing more comes, and is answered where a target
    /// has its request; but nobody waits for it: closing is also all that one does who has given up, and a queue of these
    /// keeps everybody else out. With HTTP/2 a stream that is given up says so.
    var hasLeft: Bool { client.peerClosed && !client.framesMessages }

    /// With an answer, for a client that did mean to go on listening. As HAProxy with `option abortonclose`.
    func giveUpWaiting() {
        if phase == .queued { leaveQueue() }
        listener.counters.add(ListenerCounter.clientAborts)
        fail(.clientAborted)
    }

    func enterQueue() {
        guard !hasLeft else { return giveUpWaiting() }
        let group = self.group!
        guard let queue = group.compiled.queue else { return noTarget() }
        guard
            wait(
                in: queue, again: place, limit: group.compiled.settings.limits.queueMax,
                refusing: group.slots(of: excluded))
        else {
            group.counters.add(GroupCounter.queueOverflows)
            return fail(.queueFull)
        }
        keptPlace = waitsIn?.ticket
        // A slot that was given back before we entered woke nobody.
        if case .target(let index) = choose() {
            stopQueueing()
            connect(to: index)
        }
    }

    // MARK: For a connection

    /// All connections that the target may have are open. This exchange holds one of as many slots, so one of them is
    /// idle, in the pool of another worker, or about to be: it is closed, and its place is ours.
    func waitForConnection(_ pool: TargetPool) {
        let limit = pool.target.limit!
        waitsFor = pool
        _ = wait(in: limit.connectionQueue, again: nil, limit: .max, refusing: [])
        if limit.connectionQueue.take(limit.connections, before: waitsIn!.ticket) {
            waitsFor = nil
            stopQueueing()
            phase = .forwarding
            return open(pool)
        }
        // One that waits here for another client; ordinary ones there are none.
        if pool.introducesClients { pool.closeIdleInTheWay() }
        let slot = group!.compiled.slot
        worker.neighbours.post(from: worker.index) { $0.closeIdleInTheWay(of: limit, inGroup: slot) }
    }

    // MARK: For a place in a shared connection

    /// All are full, or none may be opened: the stream stands in a line at its target, and counts in the group's queue.
    ///
    /// - Returns: false where that is full, and the exchange over.
    func waitForPlace(of stream: HTTP2TargetStream, _ pool: TargetPool) -> Bool {
        guard let group, let queue = group.compiled.queue else { return true }
        guard !hasLeft else {
            giveUpWaiting()
            return false
        }
        // Who waited before is let in, and who has a slot and only lacks the connection: as with HTTP/1.
        let isBound = queuedUntil == .zero && !pool.shared.awaitsConnection
        guard queue.enterAside(limit: isBound ? group.compiled.settings.limits.queueMax : .max) else {
            dropTarget()
            group.counters.add(GroupCounter.queueOverflows)
            fail(.queueFull)
            return false
        }
        placeQueue = queue
        group.counters.add(GroupCounter.queued)
        beginQueueTime(group)
        stream.armTimer(at: queuedUntil)
        return true
    }

    func leftQueue(of stream: HTTP2TargetStream) {
        leavePlaceQueue()
        guard target === stream else { return }
        chosenAt = now
        guard !stream.isConnected else { return }
        stream.armTimer(at: now + group!.compiled.settings.timeouts.connect)
    }

    /// Whatever ends the wait for a place.
    func leavePlaceQueue() {
        guard let queue = placeQueue else { return }
        placeQueue = nil
        queue.leaveAside()
        group?.counters.subtract(GroupCounter.queued)
    }

    // MARK: For a slot or a connection

    private func wait(in queue: SlotQueue, again ticket: UInt64?, limit: Int, refusing refused: [SlotLimiter]) -> Bool {
        let group = self.group!
        serial &+= 1
        let mailbox = worker.loop.mailbox
        let (waiter, serial) = (LoopBound(self, on: worker.loop), self.serial)
        let entered = queue.enter(again: ticket, limit: limit, refusing: refused) { letter in
            mailbox.post {
                guard !waiter.open().wasTold(letter, by: queue, serial: serial), case .slot(let slot) = letter else {
                    return
                }
                // The waiter is gone: the slot is for the next.
                queue.pass(slot)
            }
        }
        guard let entered else { return false }
        waitsIn = (queue, entered)
        phase = .queued
        group.counters.add(GroupCounter.queued)
        beginQueueTime(group)
        // Whatever the timer stood for: rates are watched anew once bytes flow.
        clientWait = .queue
        client.armTimer(at: queuedUntil)
        return true
    }

    /// Once for all its tries, however often it waits.
    private func beginQueueTime(_ group: GroupRuntime) {
        guard queuedUntil == .zero else { return }
        keptPlace = nil
        queuedUntil = now + group.compiled.settings.limits.queueTimeout
    }

    /// - Returns: false when this waiter has stopped waiting: a slot is for the next.
    private func wasTold(_ letter: SlotQueue.Letter, by queue: SlotQueue, serial: UInt64) -> Bool {
        guard serial == self.serial, phase == .queued else { return false }
        let pool = waitsFor
        waitsFor = nil
        stopQueueing()
        switch letter {
        case .look: attempt()
        case .slot(let slot):
            if let pool { takeConnection(slot, to: pool, from: queue) } else { takeSlot(slot) }
        }
        return true
    }

    private func takeSlot(_ slot: SlotLimiter) {
        guard let index = group!.index(of: slot, excluding: excluded) else {
            // Another worker knew the target as usable, this one not yet or no more: whichever is behind fills the queue when
            // it learns better. Or it is a backup's, or of a lower tier, whose last flows end: this exchange waits for others.
            slot.giveBack()
            return attempt()
        }
        self.slot = slot
        connect(to: index)
    }

    private func takeConnection(_ connection: SlotLimiter, to pool: TargetPool, from queue: SlotQueue) {
        phase = .forwarding
        chosenAt = now
        if let kept = takeKept(pool) {
            queue.pass(connection)
            return use(kept)
        }
        if pool.target.limit?.connections === connection { return open(pool) }
        // The target has another limit meanwhile, or none.
        queue.pass(connection)
        pool.mayOpen() ? open(pool) : waitForConnection(pool)
    }

    /// Out of the queue and with nothing in hand: the wait is over without success.
    func leaveQueue() {
        let pool = waitsFor
        waitsFor = nil
        stopQueueing()
        if let pool { leaveTarget(pool) }
    }

    /// A slot that is on its way here goes on to the next.
    private func stopQueueing() {
        guard let (queue, ticket) = waitsIn else { return }
        waitsIn = nil
        serial &+= 1
        queue.leave(ticket)
        group?.counters.subtract(GroupCounter.queued)
        clientWait = .none
        client.cancelTimer()
    }
}
