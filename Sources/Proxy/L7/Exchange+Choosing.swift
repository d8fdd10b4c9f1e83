import PoiseBalancing
import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseRouting

/// From a routed request to a target: rule, group, algorithm, slot, queue.
extension Exchange {
    // MARK: Routing

    /// - Returns: false where the request is answered already.
    func chooseRule() -> Bool {
        let buffer = headBuffer
        let path = buffer.bytes(head.path.start, head.path.end)
        let isNormal = PathNormalization.isNormal(path)
        if !listener.requestSettings.hasRoutes, isNormal {
            rule = 0
        } else {
            let compiled = listener.compiled
            // Without rules, too: what is refused must not depend on rules that are not asked.
            let host = buffer.bytes(head.host.start, head.host.end)
            if isNormal {
                rule = compiled.routes.match(host: host, path: path) ?? compiled.actions.count
            } else {
                guard PathNormalization.normalize(path, into: &worker.pathScratch) == .normal else {
                    fail(.refusedPath)
                    return false
                }
                let normal = worker.pathScratch
                rule = compiled.routes.match(host: host, path: normal.span) ?? compiled.actions.count
            }
        }
        let counters = listener.ruleRow(rule)
        counters.add(RuleCounter.requests)
        ruleID = counters.id
        return true
    }

    /// What the rule says.
    func act() {
        let soleGroup = listener.soleGroups[rule]
        if soleGroup >= 0, !listener.isRetired, let group = worker.group(soleGroup) { return forward(to: group) }
        let compiled = listener.compiled
        let action = rule < compiled.actions.count ? compiled.actions[rule] : compiled.defaultAction
        switch action {
        case nil:
            fail(.noRule)
        case .forward(let shares):
            guard let slot = chooseGroup(shares), let group = worker.group(slot),
                !listener.isRetired || isNamed(group, slot, shares)
            else { return fail(.noWeight) }
            forward(to: group)
        case .fixedResponse(let response):
            generate(.fixedResponse, status: response.status, response.contentType, Array(response.body.utf8))
        case .redirect(let template):
            redirect(template)
        }
    }

    private func forward(to group: GroupRuntime) {
        self.group = group
        group.counters.add(GroupCounter.requests)
        group.counters.add(GroupCounter.inFlight)
        group.retryBudget.value.requestBegan(at: now)
        attempt()
    }

    /// A removed listener answers its last requests by the rules that it had. A group of theirs may be gone as well by
    /// now, and its slot another's.
    private func isNamed(_ group: GroupRuntime, _ slot: Int, _ shares: [CompiledAction.Share]) -> Bool {
        let settings = listener.compiled.settings
        let action = rule < settings.rules.count ? settings.rules[rule].action : settings.defaultAction
        guard case .forward(let forward)? = action, let index = shares.firstIndex(where: { $0.groupSlot == slot })
        else { return false }
        return forward.shares[index].group == group.compiled.settings.id
    }

    func chooseGroup(_ shares: [CompiledAction.Share]) -> Int? {
        if shares.count == 1 { return shares[0].weight > 0 ? shares[0].groupSlot : nil }
        return listener.nextShare(of: rule, shares).map { shares[$0].groupSlot }
    }

    // MARK: Choosing a target

    enum Choice {
        /// With a slot of it, where slots are limited.
        case target(Int)
        /// Usable targets exist, but all of them are at `max_connections`.
        case allTaken
        case none
    }

    /// - Parameter failed: where a try went wrong that this one follows.
    func attempt(after failed: TargetPool? = nil) {
        phase = .choosing
        var choice = choose(excluding: excluded)
        while case .none = choice, changeToBackupGroup() { choice = choose(excluding: excluded) }
        if case .none = choice { choice = choose() }
        switch choice {
        case .target(let index):
            failed?.counters.add(TargetCounter.retries)
            connect(to: index)
        case .allTaken: enterQueue()
        case .none: noTarget()
        }
    }

    func choose() -> Choice {
        let first = choose(excluding: excluded)
        guard case .none = first, excluded.count > 1 else { return first }
        // All were tried and a try is left: once more round, only not at once to the last one again.
        excluded = Exclusions()
        exclude()
        return choose(excluding: excluded)
    }

    private func choose(excluding tried: Exclusions) -> Choice {
        let group = self.group!
        let key = group.goesByKey ? balancingKey(for: group.compiled) : 0
        guard let first = group.pick(key: key, random: worker.random(), excluding: tried, at: now) else { return .none }
        if take(first, of: group) { return .target(first) }
        var passedOver = tried
        passedOver.insert(first)
        // The algorithm's choices are all taken: any other will do.
        while passedOver.count < Exclusions.capacity {
            guard
                let index = group.pick(
                    insteadOf: first, key: key, random: worker.random(), excluding: passedOver, at: now)
            else { return .allTaken }
            if take(index, of: group) { return .target(index) }
            passedOver.insert(index)
        }
        return takeAnySlot(excluding: tried)
    }

    /// With a slot, where slots are limited.
    private func take(_ index: Int, of group: GroupRuntime) -> Bool {
        guard group.mayQueue, let limit = group.pools[index].target.limit else { return true }
        guard group.takeSlot(limit.exchanges, before: place) else { return false }
        slot = limit.exchanges
        return true
    }

    /// Without anything to go by, chance decides, in proportion to the weights.
    private func balancingKey(for group: CompiledGroup) -> UInt64 {
        if let key = group.hashKey {
            let client = key.asksForClient ? IPAddress(ipv4Or6: clientAddress.bytes) : nil
            return key.hash(head, headBuffer.bytes(0, head.headEnd), client: client) ?? worker.random()
        }
        return clientAddress.count > 0 ? clientAddress.hash : worker.random()
    }

    private func takeAnySlot(excluding tried: Exclusions) -> Choice {
        guard let index = group!.takeAnySlot(excluding: tried, before: place) else { return .allTaken }
        slot = group!.pools[index].target.limit?.exchanges
        return .target(index)
    }

    func connect(to index: Int) {
        targetIndex = index
        connect(group!.pools[index])
    }

    func noTarget() {
        guard let group else { return }
        // A failed try with nobody else to ask is that failure; without any try, nobody was usable.
        if tries > 0, reason != .answered { return fail(reason) }
        group.counters.add(GroupCounter.noTarget)
        if let sorry = group.compiled.settings.sorryResponse {
            group.counters.add(GroupCounter.sorry)
            return generate(.sorry, status: sorry.status, sorry.contentType, Array(sorry.body.utf8))
        }
        fail(.noTarget)
    }

    func connect(_ pool: TargetPool) {
        tries += 1
        phase = .forwarding
        chosenAt = now
        targetID = pool.counters.id
        pool.flowBegan()
        if replacesStale {
            // Counted when the connection that was stale was taken.
            replacesStale = false
        } else {
            pool.counters.add(TargetCounter.requests)
            group!.counters.add(GroupCounter.tries)
            if tries > 1 { group!.counters.add(GroupCounter.retries) }
        }
        if group!.isFailOpen { group!.counters.add(GroupCounter.failOpen) }
        (requestWasWritten, requestIsSent) = (false, false)
        (answerBytesCame, answerIsBeingRead, interimCount) = (false, false, 0)
        answeredAt = .zero
        if pool.group.settings.version == .http2 { return share(pool) }
        if let kept = takeKept(pool) { return use(kept) }
        guard pool.mayOpen() else { return waitForConnection(pool) }
        open(pool)
    }

    func use(_ pooled: TargetConnection) {
        pooled.attach(self)
        target = pooled
        pooled.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        forward(pooled)
    }

    /// A stream of a connection that others use too. It may have to wait for one to stand, or for its turn.
    private func share(_ pool: TargetPool) {
        let stream = HTTP2TargetStream(pool: pool, worker: worker)
        stream.exchange = self
        target = stream
        stream.armTimer(at: now + group!.compiled.settings.timeouts.connect)
        do {
            try pool.shared.place(stream, pool)
            if stream.waitsForPlace, !waitForPlace(of: stream, pool) { return }
            // The connection may have broken meanwhile, and another try have begun.
            guard target === stream else { return }
            forward(stream)
        } catch {
            target = nil
            stream.end()
            couldNotOpen(pool, error)
        }
    }

    /// Where connections are limited, one is taken already.
    func open(_ pool: TargetPool) {
        let connection = TargetConnection(pool: pool, worker: worker)
        do {
            let socket = try worker.connect(to: pool.target.address)
            connection.start(socket, for: self)
            target = connection
            connection.armTimer(at: now + group!.compiled.settings.timeouts.connect)
            if pool.introducesClients { introduce(connection) }
            forward(connection)
            if connection.isOpen { connection.watch([.readable, .writable]) }
        } catch {
            target = nil
            connection.giveBackLimit()
            couldNotOpen(pool, error)
        }
    }

    private func couldNotOpen(_ pool: TargetPool, _ error: SystemError) {
        leaveTarget(pool)
        // That says nothing about the target, and another one needs a descriptor as well.
        if Errno.isShortage(error.code) { return fail(.outOfDescriptors) }
        let isRefused = error.code == Errno.connectionRefused || error.code == Errno.notFound
        tryFailed(isRefused ? .connectRefused : .connectFailed, pool: pool, isConnectFailure: true)
    }

    /// Larger than the target takes: as if it had said so itself, with 431.
    func headIsTooLarge() {
        refusal = Refusal(.headTooLarge)
        dropTarget()
        fail(.refusedRequest)
    }

    func forward(_ target: TargetStream) {
        if target.framesMessages {
            // With trailers also behind a known length. A message of HTTP/1 with a length has no place for them: there they
            // are left out, as any hop may do. RFC 9110 §6.5.1
            requestBody.begin(framing(of: head.framing, from: client), sink: .asIs)
            target.neverIndexedNext = client.receivedNeverIndexed
        } else {
            requestBody.sink = sinkOfRequest
        }
        stageRequestHead(to: target)
        if target.headIsTooLarge { return headIsTooLarge() }
        pumpRequest(to: target)
    }
}
