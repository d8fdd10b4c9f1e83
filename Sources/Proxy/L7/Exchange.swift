import PoiseBalancing
import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseRouting

/// One HTTP request and its response: joins the client's stream to a target's.
///
///     idle --head read--> choosing --target--> forwarding --answer's head--> answering --both ends--> idle
///                            |  ^ `--all slots taken--> queued                   `--101--> tunnel --> idle
///                            |  `--try failed, another is allowed--'
///                            `--no rule, redirect, fixed response, any failure--> generating --> idle
///                                              (a small body is still to come) `--> dropping --> idle
///
/// Invariants: it ends exactly once (``conclude``); a target's slot is given back exactly once (``releaseSlot``);
/// the head's bytes stay where `headBuffer` says until the end.
final class Exchange {
    enum Phase { case idle, reading, choosing, queued, forwarding, answering, tunnel, generating, dropping }
    /// What the client's timer stands for while the exchange runs.
    private enum ClientWait { case none, queue, body, sending, tunnel, rest }

    let worker: Worker
    private(set) var client: ClientConnection!
    private(set) var listener: ListenerRuntime!
    private(set) var target: TargetConnection?
    private(set) var group: GroupRuntime?
    private var targetIndex = -1
    private(set) var phase = Phase.idle

    var head = RequestHead()
    var answer = ResponseHead()
    var requestBody = BodyTransfer()
    var answerBody = BodyTransfer()
    /// The head's buffer when the client's input went on in another one.
    private var pinnedHead: Buffer?

    private(set) var keepAlive = false
    private(set) var wantsUpgrade = false
    private(set) var maxForwards: Int?
    /// Who asks: the connection's peer, or the one that trusted proxies speak for.
    private(set) var clientAddress = ClientAddressText()
    private(set) var requestIDHigh: UInt64 = 0
    private(set) var requestIDLow: UInt64 = 0
    private(set) var keptRequestID = ByteRange.empty
    private(set) var keptTraceID = ByteRange.empty

    private var rule = -1
    /// Ids of the rule's and the last target's counters, 0 for none.
    private var ruleID = 0
    private var targetID = 0
    private(set) var status = 0
    private var reason = EndReason.answered
    private var refusal: Refusal?
    private var tries = 0
    private var excluded = Exclusions()
    /// Bytes of the request that this try may have shown to a target.
    private var requestWasWritten = false
    private var requestIsSent = false
    private var answerBegan = false
    /// What a slot was taken of; the target's limit may change meanwhile.
    private var slot: SlotLimiter?
    private var ticket: UInt64?
    private var clientWait = ClientWait.none
    private var serial: UInt64 = 0

    private var beganAt = MonotonicTime.zero
    private var chosenAt = MonotonicTime.zero
    private var sentAt = MonotonicTime.zero
    private var answeredAt = MonotonicTime.zero
    private var rateCheckedAt = MonotonicTime.zero
    private var rateCheckedBytes = 0
    private var waitedSince = MonotonicTime.distantFuture
    private var waited = Nanoseconds.zero
    private var lastActivity = MonotonicTime.zero

    init(worker: Worker) { self.worker = worker }

    var hasHead: Bool { head.headEnd > 0 }
    /// Where ``head``'s ranges point into.
    var headBuffer: Buffer { pinnedHead ?? client.input! }
    private var now: MonotonicTime { worker.loop.now }

    // MARK: Beginning

    /// Ready to read a head for `client`.
    func reset(client: ClientConnection, listener: ListenerRuntime) {
        (self.client, self.listener) = (client, listener)
        phase = .reading
        head.reset()
        serial &+= 1
        (target, group, targetIndex, rule, ruleID, targetID) = (nil, nil, -1, -1, 0, 0)
        (keepAlive, wantsUpgrade, maxForwards, keptRequestID, keptTraceID) = (false, false, nil, .empty, .empty)
        (status, reason, refusal, tries, excluded) = (0, .answered, nil, 0, Exclusions())
        (requestWasWritten, requestIsSent, answerBegan, slot, ticket) = (false, false, false, nil, nil)
        clientWait = .none
        (requestIDHigh, requestIDLow) = (0, 0)
        beganAt = now
        (chosenAt, sentAt, answeredAt) = (beganAt, .zero, .zero)
        requestBody.begin(.none, sink: .asIs)
        answerBody.begin(.none, sink: .asIs)
    }

    /// Never used for a request after all.
    func release() {
        phase = .idle
        (client, listener) = (nil, nil)
        worker.giveBack(self)
    }

    /// The head is complete: decides what is done with the request.
    func begin() {
        let settings = listener.compiled.settings
        beginCounting()
        keepAlive = !head.wantsClose && client.mayContinue
        takeRequestID(settings.forwarding)
        takeClient(settings.forwarding)
        // First of all: whatever the answer is, the next request begins behind this one's body.
        prepareBody(settings)
        if let limit = settings.limits.bodyBytesMax, case .length(let count) = head.framing, count > limit {
            return fail(.bodyTooLarge)
        }
        switch head.method {
        case .connect: return fail(.methodNotAllowed)
        case .trace where !settings.allowsTrace: return fail(.methodNotAllowed)
        case .options, .trace:
            if let stop = countForwards() { return stop() }
        default: break
        }
        wantsUpgrade = head.hasUpgrade && head.framing == .none && allowsUpgrade(settings.upgrades)
        switch chooseAction() {
        case .none: return
        case .some(let action): run(action)
        }
    }

    private func beginCounting() {
        beganAt = now
        listener.counters.add(ListenerCounter.requests)
        listener.counters.add(ListenerCounter.inFlight)
        phase = .choosing
    }

    /// The head could not be read, or the connection must not be served.
    func refuse(_ reason: EndReason, _ refusal: Refusal? = nil) {
        beginCounting()
        keepAlive = false
        clientAddress = client.addressText
        requestIDHigh = worker.random()
        requestIDLow = worker.random()
        self.refusal = refusal
        // Whatever follows cannot be told apart from a body.
        requestBody.begin(.untilClose, sink: .asIs)
        fail(reason)
    }

    private func takeRequestID(_ forwarding: ForwardingHeaders) {
        requestIDHigh = worker.random()
        requestIDLow = worker.random()
        if forwarding.requestID { keptRequestID = idToKeep(.xRequestID) }
        if forwarding.amazonTraceID { keptTraceID = idToKeep(.xAmznTraceID) }
    }

    /// The first value of a field that may go on: any from a trusted peer, a harmless one from others.
    private func idToKeep(_ id: FieldID) -> ByteRange {
        for field in head.fields where field.id == id {
            let value = headBuffer.bytes(field.value.start, field.value.end)
            guard RequestIDRules.isHarmless(value) || (client.isTrusted && value.count > 0) else { continue }
            return field.value
        }
        return .empty
    }

    /// Behind trusted proxies the client is whom X-Forwarded-For tells.
    private func takeClient(_ forwarding: ForwardingHeaders) {
        guard client.isTrusted, let peer = client.address, head.fields.contains(where: { $0.id == .xForwardedFor })
        else { return clientAddress = client.addressText }
        var walk = ClientAddressWalk(peer: peer, trusted: forwarding.trustedProxies)
        for field in head.fields.reversed() where field.id == .xForwardedFor {
            walk.readBackwards(headBuffer.bytes(field.value.start, field.value.end), trusted: forwarding.trustedProxies)
        }
        clientAddress = ClientAddressText(walk.client)
    }

    /// Max-Forwards of OPTIONS and TRACE: answered here at 0, else one less. RFC 9110 §7.6.2
    private func countForwards() -> (() -> Void)? {
        for field in head.fields where field.id == .maxForwards {
            guard let count = decimalValue(headBuffer.bytes(0, head.headEnd), field.value) else { continue }
            if count == 0 { return { self.fail(.maxForwards) } }
            maxForwards = count - 1
        }
        return nil
    }

    private func allowsUpgrade(_ tokens: [String]) -> Bool {
        let bytes = headBuffer.bytes(0, head.headEnd)
        for token in tokens where equalsIgnoringCase(bytes, head.upgradeValue, token) { return true }
        return false
    }

    /// Bodies that are not wholly here get a buffer of their own, so that the head's bytes stay.
    private func prepareBody(_ settings: Listener) {
        requestBody.bytesMax = settings.limits.bodyBytesMax ?? .max
        requestBody.begin(head.framing, sink: head.framing == .chunked ? .chunked : .asIs)
        requestBody.keepsInput = true
        let isHere: Bool
        switch head.framing {
        case .none: isHere = true
        case .length(let count): isHere = client.unreadCount >= count
        case .chunked, .untilClose: isHere = false
        }
        guard !isHere else { return }
        pinnedHead = client.continueInput(large: true)
        if case .length(let count) = head.framing { requestBody.keepsInput = count <= BodyTransfer.keptBytesMax }
    }

    // MARK: Routing

    private func chooseAction() -> CompiledAction? {
        let compiled = listener.compiled
        if compiled.routes.isEmpty {
            rule = 0
        } else {
            let buffer = headBuffer
            let host = buffer.bytes(head.host.start, head.host.end)
            let path = buffer.bytes(head.path.start, head.path.end)
            if PathNormalization.isNormal(path) {
                rule = compiled.routes.match(host: host, path: path) ?? compiled.actions.count
            } else {
                guard PathNormalization.normalize(path, into: &worker.pathScratch) == .normal else {
                    fail(.refusedPath)
                    return nil
                }
                let normal = worker.pathScratch
                rule = compiled.routes.match(host: host, path: normal.span) ?? compiled.actions.count
            }
        }
        let counters = listener.ruleRow(rule)
        counters.add(RuleCounter.requests)
        ruleID = counters.id
        guard let action = rule < compiled.actions.count ? compiled.actions[rule] : compiled.defaultAction else {
            fail(.noRule)
            return nil
        }
        return action
    }

    private func run(_ action: CompiledAction) {
        switch action {
        case .forward(let shares):
            guard let slot = chooseGroup(shares), let group = worker.groups[slot] else { return fail(.noWeight) }
            self.group = group
            group.counters.add(GroupCounter.requests)
            group.counters.add(GroupCounter.inFlight)
            group.retryBudget.requestBegan(at: now)
            attempt()
        case .fixedResponse(let response):
            generate(.fixedResponse, status: response.status, response.contentType, Array(response.body.utf8))
        case .redirect(let template):
            redirect(template)
        }
    }

    private func chooseGroup(_ shares: [CompiledAction.Share]) -> Int? {
        if shares.count == 1 { return shares[0].weight > 0 ? shares[0].groupSlot : nil }
        if listener.groupChoice[rule] == nil {
            listener.groupChoice[rule] = GroupChoice(shares, start: worker.random())
        }
        return listener.groupChoice[rule]!.next().map { shares[$0].groupSlot }
    }

    // MARK: Choosing a target

    private func attempt() {
        phase = .choosing
        let group = self.group!
        let key = group.compiled.settings.algorithm == .sourceHash ? clientAddress.hash : 0
        var passedOver = excluded
        while true {
            guard let index = group.pick(key: key, excluding: passedOver) else {
                if group.isLimited, passedOver.count > excluded.count { return takeAnySlotOrWait() }
                guard excluded.count > 1 else { return noTarget() }
                // All were tried and a try is left: once more round, only not at once to the last one again.
                excluded = Exclusions()
                excluded.insert(targetIndex)
                passedOver = excluded
                continue
            }
            let pool = group.pools[index]
            if let limiter = pool.target.inFlight {
                guard limiter.take() else {
                    passedOver.insert(index)
                    if passedOver.count == Exclusions.capacity { return takeAnySlotOrWait() }
                    continue
                }
                slot = limiter
            }
            targetIndex = index
            return connect(pool)
        }
    }

    /// The algorithm's choices are all taken: any other will do, else the queue.
    private func takeAnySlotOrWait() {
        guard let index = group!.takeAnySlot(excluding: excluded) else { return enterQueue() }
        connect(toSlotAt: index)
    }

    /// - Parameter index: of a pool whose slot is taken already.
    private func connect(toSlotAt index: Int) {
        let pool = group!.pools[index]
        slot = pool.target.inFlight
        targetIndex = index
        connect(pool)
    }

    private func noTarget() {
        guard let group else { return }
        // A failed try with nobody else to ask is that failure; without any try, nobody was usable.
        if tries > 0 { return fail(reason) }
        group.counters.add(GroupCounter.noTarget)
        if let sorry = group.compiled.settings.sorryResponse {
            group.counters.add(GroupCounter.sorry)
            return generate(.sorry, status: sorry.status, sorry.contentType, Array(sorry.body.utf8))
        }
        fail(.noTarget)
    }

    private func connect(_ pool: TargetPool) {
        tries += 1
        phase = .forwarding
        chosenAt = now
        let group = self.group!
        targetID = pool.counters.id
        pool.counters.add(TargetCounter.requests)
        pool.counters.add(TargetCounter.inFlight)
        group.counters.add(GroupCounter.tries)
        if group.isFailOpen { group.counters.add(GroupCounter.failOpen) }
        (requestWasWritten, requestIsSent) = (false, false)
        (answerBytesCame, answerIsBeingRead, interimCount) = (false, false, 0)
        answeredAt = .zero
        if let pooled = pool.takeIdle() {
            pooled.attach(self)
            target = pooled
            pooled.armTimer(at: now + group.compiled.settings.timeouts.responseIdle)
            forward(pooled)
            return
        }
        let connection = TargetConnection(pool: pool)
        do {
            let socket = try worker.loop.connect(to: pool.target.address)
            connection.start(socket, for: self)
            target = connection
            connection.armTimer(at: now + group.compiled.settings.timeouts.connect)
            forward(connection)
            if connection.isOpen { connection.watch([.readable, .writable]) }
        } catch {
            target = nil
            let isRefused = error.code == Errno.connectionRefused || error.code == Errno.notFound
            leaveTarget(pool)
            tryFailed(isRefused ? .connectRefused : .connectFailed, pool: pool, isConnectFailure: true)
        }
    }

    private func forward(_ target: TargetConnection) {
        stageRequestHead(to: target)
        pumpRequest()
    }

    // MARK: The queue

    private func enterQueue() {
        let group = self.group!
        let settings = group.compiled.settings.limits
        guard let queue = group.compiled.queue else { return noTarget() }
        phase = .queued
        let mailbox = worker.loop.mailbox
        let (waiter, serial) = (LoopBound(self, on: worker.loop), self.serial)
        let wake: @Sendable () -> Void = {
            mailbox.post { if !waiter.open().wokenFromQueue(serial: serial) { queue.wakeOne() } }
        }
        guard let ticket = queue.enter(limit: settings.queueMax, wake: wake) else {
            group.counters.add(GroupCounter.queueOverflows)
            return fail(.queueFull)
        }
        self.ticket = ticket
        group.counters.add(GroupCounter.queued)
        // A slot that was given back before we entered would wake nobody.
        if let index = group.takeAnySlot(excluding: excluded) {
            if leaveQueue() { return connect(toSlotAt: index) }
            // Somebody wakes us already; who looked in this moment must not miss the slot.
            group.pools[index].target.inFlight?.giveBack()
            queue.wakeOne()
        }
        guard clientWait != .queue else { return }
        stopWaiting()
        clientWait = .queue
        client.armTimer(at: now + settings.queueTimeout)
    }

    /// - Returns: false when a wake-up is under way already.
    private func leaveQueue() -> Bool {
        guard let ticket, let group else { return false }
        self.ticket = nil
        group.counters.subtract(GroupCounter.queued)
        return group.compiled.queue?.leave(ticket) ?? false
    }

    /// A slot may be free.
    ///
    /// - Returns: false when this waiter is gone: the slot is for the next.
    private func wokenFromQueue(serial: UInt64) -> Bool {
        guard serial == self.serial, phase == .queued else { return false }
        ticket = nil
        group?.counters.subtract(GroupCounter.queued)
        attempt()
        if phase != .queued, clientWait == .queue {
            clientWait = .none
            client?.cancelTimer()
        }
        return true
    }

    // MARK: The request's way

    private func pumpRequest() {
        guard let target else { return }
        let sentBefore = target.sentBytes
        let outcome = requestBody.pump(from: client, to: target)
        if target.sentBytes > sentBefore {
            requestWasWritten = true
            if outcome != .complete { activity(target) }
        }
        switch outcome {
        case .complete:
            clientGave()
            requestWasSent(target)
        case .needInput:
            waitForBody()
        case .sinkBlocked:
            clientGave()
        case .yield:
            client.again()
        case .sourceEnded, .sourceFailed:
            abandon(.clientAborted)
        case .sinkFailed:
            guard target.isConnected || target.isReused else { return targetFailed(connectError(target.failure)) }
            // The target may have answered before it closed: what it sent is still to be read.
            target.canSend = false
            target.mayHaveInput = true
            phase == .answering ? pumpAnswer() : readAnswer()
            if self.target === target, phase == .forwarding { targetFailed(.targetFailed) }
        case .refused(let refusal):
            self.refusal = refusal
            keepAlive = false
            dropTarget()
            answerBegan ? abandon(.refusedRequest) : fail(.refusedRequest)
        case .tooLarge:
            keepAlive = false
            dropTarget()
            answerBegan ? abandon(.bodyTooLarge) : fail(.bodyTooLarge)
        }
    }

    private func requestWasSent(_ target: TargetConnection) {
        guard !requestIsSent else { return }
        requestIsSent = true
        sentAt = now
        if !target.isConnected { markConnected(target) }
        if phase == .answering, answerBody.sourceIsDone { tryFinish() }
    }

    private func markConnected(_ target: TargetConnection) {
        target.markConnected()
        target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
    }

    private func activity(_ target: TargetConnection) {
        if !target.isConnected { target.markConnected() }
        target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
    }

    // MARK: Events

    func clientIsReady(_ readiness: Readiness) {
        switch phase {
        case .idle, .reading: break
        case .choosing, .queued:
            if !readiness.isDisjoint(with: [.failed, .hungUp]) { abandon(.clientAborted) }
        case .generating:
            if readiness.contains(.failed) { return abandon(.clientAborted) }
            if client.canSend { flushGenerated() }
        case .dropping: dropRest()
        case .forwarding, .answering:
            if !readiness.isDisjoint(with: [.failed, .hungUp]), requestBody.sourceIsDone || readiness.contains(.failed)
            {
                return abandon(.clientAborted)
            }
            if !requestIsSent { pumpRequest() }
            guard client != nil, client.canSend else { return }
            if phase == .answering { return pumpAnswer() }
            // An interim answer may be held up.
            if phase == .forwarding, client.flushOutput() == .failed { abandon(.clientAborted) }
        case .tunnel:
            pumpTunnel()
        }
    }

    func targetIsReady(_ readiness: Readiness) {
        guard let target else { return }
        if !target.isConnected, phase == .forwarding {
            if !readiness.isDisjoint(with: [.failed, .hungUp]) {
                let code = target.failure != 0 ? target.failure : target.takeError()
                return targetFailed(connectError(code))
            }
            if readiness.contains(.writable) { markConnected(target) }
        }
        switch phase {
        case .idle, .reading, .choosing, .queued, .generating, .dropping: break
        case .forwarding:
            if readiness.contains(.writable), !requestIsSent, target.canSend { pumpRequest() }
            if phase == .forwarding, self.target === target, target.mayHaveInput { readAnswer() }
        case .answering:
            if readiness.contains(.writable), !requestIsSent { pumpRequest() }
            if phase == .answering { pumpAnswer() }
        case .tunnel:
            pumpTunnel()
        }
    }

    private func connectError(_ code: CInt) -> EndReason {
        switch code {
        case Errno.connectionRefused: .connectRefused
        case Errno.timedOut: .connectTimeout
        default: .connectFailed
        }
    }

    // MARK: The answer's way

    private func readAnswer() {
        guard let target else { return }
        while phase == .forwarding, self.target === target {
            switch target.fill() {
            case .bytes: answerBytesCame = true
            case .blocked: return
            case .full:
                guard target.input!.capacity < BufferPool.largeBytes else {
                    return answerRefused(Refusal(status: 502, reason: .headTooLarge))
                }
                answer.shift(by: target.compactInput(large: true))
                continue
            case .endOfStream:
                return targetFailed(.targetClosed)
            case .failed:
                return targetFailed(.targetFailed)
            }
            parseAnswer(target)
        }
    }

    /// Reads heads out of the target's input: interim ones are passed on, a final one begins the answer.
    private func parseAnswer(_ target: TargetConnection) {
        while phase == .forwarding, target.unreadCount > 0 {
            switch readAnswerHead(target) {
            case .needMore:
                return
            case .refused(let refusal):
                return answerRefused(refusal)
            case .complete:
                answerIsBeingRead = false
                target.inputCursor = answer.headEnd
                if answer.status < 200 { interim(target) } else { beginAnswer(target) }
            }
        }
    }

    private func readAnswerHead(_ target: TargetConnection) -> ParseResult {
        if !answerIsBeingRead {
            answer.reset()
            answerIsBeingRead = true
        }
        guard let buffer = target.input else { return .needMore }
        return answer.parse(
            buffer.bytes(0, target.inputEnd), from: target.inputCursor, limits: Self.answerLimits,
            requestMethod: head.method)
    }

    private var answerIsBeingRead = false
    /// This try has had bytes of an answer, an interim one's too: another target would be asked twice for one answer.
    private var answerBytesCame = false
    private var interimCount = 0
    private static var interimMax: Int { 64 }
    private static var answerLimits: HeadLimits { HeadLimits(headBytesMax: 32 * 1024, fieldCountMax: 200) }

    private func interim(_ target: TargetConnection) {
        activity(target)
        if answer.status == 101 {
            guard wantsUpgrade, answer.hasUpgrade, requestIsSent, switchesAsAsked(target.input!) else {
                return answerRefused(Refusal(status: 502, reason: .badConnectionOption))
            }
            return beginTunnel(target)
        }
        interimCount += 1
        // A target may not fill our memory, nor our time, with them.
        guard interimCount <= Self.interimMax, client.outputEnd - client.outputStart <= BufferPool.standardBytes else {
            return answerRefused(Refusal(status: 502, reason: .headTooLarge))
        }
        // An HTTP/1.0 client knows no interim answers. RFC 9110 §15.2
        guard head.version == .http11 else { return }
        stageAnswerHead(target.input!, isFinal: false)
        target.inputStart = target.inputCursor
        if client.flushOutput() == .failed { abandon(.clientAborted) }
    }

    /// The protocol of a 101 must be the one that was asked for. RFC 9110 §7.8
    private func switchesAsAsked(_ buffer: Buffer) -> Bool {
        let (asked, given) = (head.upgradeValue, answer.upgradeValue)
        return equalsIgnoringCase(headBuffer.bytes(asked.start, asked.end), buffer.bytes(given.start, given.end))
    }

    private func answerRefused(_ refusal: Refusal) {
        self.refusal = refusal
        targetFailed(.refusedAnswer)
    }

    private func beginAnswer(_ target: TargetConnection) {
        answeredAt = now
        if !target.isConnected { target.markConnected() }
        if answer.status >= 500, mayRetry(status: answer.status) {
            reason = .answered
            status = answer.status
            return retry(from: target, failed: true)
        }
        target.pool.succeeded()
        status = answer.status
        phase = .answering
        answerBegan = true
        // Without its body the connection cannot be used for another request.
        if !requestBody.sourceIsDone { keepAlive = false }
        let sink: BodyTransfer.Sink
        switch answer.framing {
        case .none, .length: sink = .asIs
        case .chunked, .untilClose:
            sink = head.version == .http11 ? .chunked : .asIs
            if sink == .asIs { keepAlive = false }
        }
        answerBody.begin(answer.framing, sink: sink)
        answerBody.keepsInput = false
        target.announcedIdle = answer.keepAliveTimeoutSeconds.map { .seconds(Int64(max(0, $0 - 1))) }
        stageAnswerHead(target.input!, isFinal: true)
        target.inputStart = target.inputCursor
        pumpAnswer()
    }

    private func pumpAnswer() {
        guard let target, phase == .answering else { return }
        let before = answerBody.bytes
        let outcome = answerBody.pump(from: target, to: client)
        if answerBody.bytes > before, outcome != .complete { activity(target) }
        switch outcome {
        case .complete:
            tryFinish()
        case .needInput:
            clientTook()
        case .sinkBlocked:
            waitForClient()
        case .yield:
            target.again()
        case .sourceEnded:
            cut(.targetClosed)
        case .sourceFailed:
            cut(.targetFailed)
        case .sinkFailed:
            abandon(.clientAborted)
        case .refused(let refusal):
            self.refusal = refusal
            cut(.refusedAnswer)
        case .tooLarge:
            preconditionFailure("answers have no size limit")
        }
    }

    /// The answer is complete. If the target answered early, the rest of the request is not waited for.
    private func tryFinish() {
        guard phase == .answering, let target else { return }
        let reusable = requestIsSent && !answer.wantsClose && answer.framing != .untilClose
        let pool = target.pool
        self.target = nil
        leaveTarget(pool)
        target.detach(reusable: reusable)
        conclude(.answered)
    }

    // MARK: Tunnel

    private func beginTunnel(_ target: TargetConnection) {
        status = 101
        answeredAt = now
        answerBegan = true
        keepAlive = false
        phase = .tunnel
        listener.counters.add(ListenerCounter.tunnels)
        target.pool.succeeded()
        stageAnswerHead(target.input!, isFinal: false)
        target.inputStart = target.inputCursor
        requestBody.begin(.untilClose, sink: .asIs)
        requestBody.keepsInput = false
        requestBody.bytesMax = .max
        answerBody.begin(.untilClose, sink: .asIs)
        answerBody.keepsInput = false
        if pinnedHead == nil { pinnedHead = client.continueInput(large: false) }
        target.cancelTimer()
        clientWait = .tunnel
        lastActivity = now
        client.armTimer(at: now + listener.compiled.settings.timeouts.upgradedIdle)
        (requestIsSent, tunnelAnswerEnded) = (false, false)
        client.watchWritable()
        pumpTunnel()
    }

    private var tunnelAnswerEnded = false

    /// Both directions; the end of one is passed on as FIN, and the tunnel ends with both. RFC 9110 §9.3.6
    private func pumpTunnel() {
        guard let target else { return }
        let before = requestBody.bytes + answerBody.bytes
        if !requestIsSent {
            switch requestBody.pump(from: client, to: target) {
            case .complete:
                requestIsSent = true
                target.shutdownWrite()
            case .yield: client.again()
            case .needInput, .sinkBlocked: break
            default: return abandon(.tunnelEnded)
            }
        }
        if !tunnelAnswerEnded {
            switch answerBody.pump(from: target, to: client) {
            case .complete:
                tunnelAnswerEnded = true
                client.shutdownWrite()
            case .yield: target.again()
            case .needInput, .sinkBlocked: break
            default: return abandon(.tunnelEnded)
            }
        }
        if requestBody.bytes + answerBody.bytes > before { lastActivity = now }
        if requestIsSent, tunnelAnswerEnded { abandon(.tunnelEnded) }
    }

    // MARK: Failures of a try

    /// The try is lost. Another one follows where that is safe.
    private func targetFailed(_ reason: EndReason) {
        guard let target else { return }
        guard phase == .forwarding else { return cut(reason) }
        let pool = target.pool
        let wasReused = target.isReused && !answerBytesCame
        let isConnectFailure = reason.isConnectFailure
        self.target = nil
        leaveTarget(pool)
        target.end()
        tryFailed(reason, pool: pool, isConnectFailure: isConnectFailure, wasReused: wasReused)
    }

    private func tryFailed(
        _ reason: EndReason, pool: TargetPool, isConnectFailure: Bool, wasReused: Bool = false
    ) {
        self.reason = reason
        pool.counters.add(isConnectFailure ? TargetCounter.connectFailures : TargetCounter.failures)
        // A kept connection that the target closed in the meantime says nothing about its health.
        let isStale = wasReused && (reason == .targetClosed || reason == .targetFailed)
        if !isStale { pool.failed(groupIndex: targetIndex) }
        guard mayTryAgain(reason, isConnectFailure: isConnectFailure, isStale: isStale) else { return fail(reason) }
        if isStale { tries -= 1 } else { exclude(&excluded) }
        again(pool)
    }

    /// Only when no byte of the request was shown, or it is idempotent and still at hand; DESIGN section 4.
    private func mayTryAgain(_ reason: EndReason, isConnectFailure: Bool, isStale: Bool) -> Bool {
        guard let group, !answerBytesCame, !client.peerFailed else { return false }
        let policy = group.compiled.settings.retries
        guard isStale || tries < policy.triesMax else { return false }
        guard requestBody.keepsInput || !requestWasWritten else { return false }
        if isConnectFailure { return true }
        if requestWasWritten, !head.method.isIdempotent { return false }
        if reason == .targetTimeout, !policy.onTimeout { return false }
        if isStale { return true }
        guard group.retryBudget.allowsRetry(at: now) else {
            group.counters.add(GroupCounter.retriesRefusedByBudget)
            return false
        }
        return true
    }

    /// Adds the target that was tried, unless its group has it no more.
    private func exclude(_ exclusions: inout Exclusions) { if targetIndex >= 0 { exclusions.insert(targetIndex) } }

    private func mayRetry(status: Int) -> Bool {
        guard let group, head.method.isIdempotent, requestBody.keepsInput, requestIsSent else { return false }
        let policy = group.compiled.settings.retries
        guard policy.onStatuses.contains(status), tries < policy.triesMax else { return false }
        var others = excluded
        exclude(&others)
        guard others.count < group.pools.count else { return false }
        return group.retryBudget.allowsRetry(at: now)
    }

    /// An answer that counts as a failed try.
    private func retry(from target: TargetConnection, failed: Bool) {
        let pool = target.pool
        exclude(&excluded)
        self.target = nil
        leaveTarget(pool)
        pool.counters.add(TargetCounter.failures)
        pool.failed(groupIndex: targetIndex)
        target.end()
        again(pool)
    }

    private func again(_ pool: TargetPool) {
        pool.counters.add(TargetCounter.retries)
        group?.counters.add(GroupCounter.retries)
        // Read the body again from its beginning.
        client.inputCursor = pinnedHead == nil ? head.headEnd : client.inputStart
        requestBody.begin(head.framing, sink: head.framing == .chunked ? .chunked : .asIs)
        attempt()
    }

    /// Gives back what this try holds of the target.
    private func leaveTarget(_ pool: TargetPool) {
        pool.counters.subtract(TargetCounter.inFlight)
        pool.counters.add(TargetCounter.bytesToTarget, UInt64(requestBody.bytes))
        pool.counters.add(TargetCounter.bytesFromTarget, UInt64(answerBody.bytes))
        if let slot {
            self.slot = nil
            slot.giveBack()
            group?.compiled.queue?.wakeOne()
        }
        if answerBegan, let offset = statusClassOffset(status) {
            pool.counters.add(TargetCounter.status2xx + offset)
        }
    }

    private func dropTarget() {
        guard let target else { return }
        self.target = nil
        leaveTarget(target.pool)
        target.end(reset: !requestIsSent)
    }

    // MARK: Time

    func targetTimedOut() {
        guard let target else { return }
        // What has arrived counts, however late we come to read it.
        if target.mayHaveInput, target.isConnected {
            targetIsReady(.readable)
            guard self.target === target, phase == .forwarding else { return }
        }
        if !target.isConnected { return targetFailed(.connectTimeout) }
        if phase == .answering, client.hasOutput || !client.canSend {
            // It is the client that we wait for; its own rate is watched.
            return target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        }
        if phase == .forwarding, !requestIsSent, !target.hasOutput {
            // The client is the one that is waited for.
            return target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        }
        targetFailed(.targetTimeout)
    }

    func clientTimedOut() {
        switch clientWait {
        case .none: break
        case .queue:
            clientWait = .none
            guard phase == .queued else { return }
            _ = leaveQueue()
            group?.counters.add(GroupCounter.queueTimeouts)
            fail(.queueTimeout)
        case .body: checkBodyRate()
        case .sending: checkSendRate()
        case .rest:
            keepAlive = false
            conclude(reason)
        case .tunnel:
            let idle = listener.compiled.settings.timeouts.upgradedIdle
            if lastActivity + idle <= now { return abandon(.tunnelIdle) }
            client.armTimer(at: lastActivity + idle)
        }
    }

    /// The client owes body bytes: its rate is measured over the time that it is waited for.
    private func waitForBody() {
        if clientWait != .body {
            guard clientWait == .none else { return }
            clientWait = .body
            startRate(requestBody.bytes)
        }
        if waitedSince == .distantFuture { waitedSince = now }
    }

    private func clientGave() {
        guard clientWait == .body else { return }
        stopWaiting()
        if requestBody.sourceIsDone {
            clientWait = .none
            client.cancelTimer()
        }
    }

    private func waitForClient() {
        if clientWait != .sending {
            guard clientWait == .none else { return }
            clientWait = .sending
            startRate(answerBody.bytes)
        }
        if waitedSince == .distantFuture { waitedSince = now }
    }

    private func clientTook() {
        guard clientWait == .sending else { return }
        stopWaiting()
    }

    private func stopWaiting() {
        guard waitedSince != .distantFuture else { return }
        waited = waited + (now - waitedSince)
        waitedSince = .distantFuture
    }

    private func startRate(_ bytes: Int) {
        (rateCheckedAt, rateCheckedBytes, waited, waitedSince) = (now, bytes, .zero, .distantFuture)
        client.armTimer(at: now + listener.compiled.settings.timeouts.bodyRateGrace)
    }

    /// Whether the peer was slower than allowed since the last check.
    private func isTooSlow(_ bytes: Int) -> Bool {
        let settings = listener.compiled.settings
        if waitedSince != .distantFuture {
            waited = waited + (now - waitedSince)
            waitedSince = now
        }
        let least = Double(settings.limits.bodyRateMin) * waited.seconds
        return settings.limits.bodyRateMin > 0 && waited >= settings.timeouts.bodyRateGrace / 2
            && Double(bytes - rateCheckedBytes) < least
    }

    private func checkBodyRate() {
        if client.mayHaveInput { pumpRequest() }
        guard client != nil, clientWait == .body else { return }
        if isTooSlow(requestBody.bytes) {
            keepAlive = false
            dropTarget()
            return answerBegan ? abandon(.bodyTimeout) : fail(.bodyTimeout)
        }
        let wasWaiting = waitedSince != .distantFuture
        startRate(requestBody.bytes)
        if wasWaiting { waitedSince = now }
    }

    private func checkSendRate() {
        let sent = phase == .generating ? 0 : answerBody.bytes
        if isTooSlow(sent) { return abandon(.clientTooSlow) }
        let wasWaiting = waitedSince != .distantFuture
        startRate(sent)
        if wasWaiting { waitedSince = now }
    }

    // MARK: Answers of our own

    /// Ends with a generated error answer, or with a cut where an answer has begun.
    private func fail(_ reason: EndReason) {
        self.reason = reason
        if answerBegan { return cut(reason) }
        dropTarget()
        status = reason == .refusedAnswer ? 502 : refusal?.status ?? reason.status
        if status == 400 || status == 408 || head.method == .connect { keepAlive = false }
        settleBody()
        if reason == .maxForwards { return answerMaxForwards() }
        let (contentType, body) = errorBody(reason, refusal)
        stageGenerated(
            status: status, contentType: contentType, body: body,
            allow: reason == .methodNotAllowed ? Self.allowedMethods : nil)
        flushGenerated()
    }

    private static var allowedMethods: String { "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH" }

    /// OPTIONS ends here and says what is possible; TRACE shows the request as it came, less its secrets. RFC 9110 §9.3.7, §9.3.8
    private func answerMaxForwards() {
        if head.method == .trace {
            var body: [UInt8] = []
            let buffer = headBuffer
            body.append(buffer.bytes(head.headStart, head.target.end))
            body.append(text: head.version == .http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n")
            for field in head.fields where !field.id.isSecret {
                body.append(buffer.bytes(field.name.start, field.name.end))
                body.append(text: ": ")
                body.append(buffer.bytes(field.value.start, field.value.end))
                body.append(text: "\r\n")
            }
            body.append(text: "\r\n")
            stageGenerated(status: 200, contentType: "message/http", body: body)
        } else {
            stageGenerated(
                status: 200, contentType: "text/plain", body: [], allow: Self.allowedMethods)
        }
        flushGenerated()
    }

    private func generate(
        _ reason: EndReason, status: Int, _ contentType: String, _ body: [UInt8], location: [UInt8]? = nil
    ) {
        self.reason = reason
        self.status = status
        settleBody()
        stageGenerated(status: status, contentType: contentType, body: body, location: location)
        flushGenerated()
    }

    private func redirect(_ template: RedirectTemplate) {
        let buffer = headBuffer
        let url = RequestURL(
            scheme: .http, host: buffer.bytes(head.host.start, head.host.end), port: requestPort(buffer),
            path: buffer.bytes(head.path.start, head.path.end), query: buffer.bytes(head.query.start, head.query.end))
        var location: [UInt8] = []
        if template.write(for: url, into: &location) != nil || template.loops(url) { return fail(.redirectLoop) }
        generate(.redirect, status: template.status, "text/plain; charset=utf-8", [], location: location)
    }

    /// The port that the client asked for; the scheme's default where it named none.
    private func requestPort(_ buffer: Buffer) -> UInt16 {
        let start = head.host.end + 1
        guard start < head.authority.end else { return URLScheme.http.defaultPort }
        let digits = ByteRange(start..<head.authority.end)
        return decimalValue(buffer.bytes(0, head.headEnd), digits).flatMap { UInt16(exactly: $0) } ?? 80
    }

    /// Decides what becomes of a body that nobody will read: a small one is dropped and the connection goes on.
    private func settleBody() {
        if clientWait != .none {
            clientWait = .none
            client.cancelTimer()
        }
        guard keepAlive, !requestBody.sourceIsDone else { return }
        // Who waits for 100 and gets a final answer may or may not send the body. RFC 9110 §10.1.1
        let maySkipBody = head.expectsContinue && requestBody.bytes == 0 && client.unreadCount == 0
        guard !maySkipBody, requestBody.isWorthDropping else { return keepAlive = false }
        switch requestBody.drop(from: client) {
        case .complete, .needInput: break
        default: keepAlive = false
        }
    }

    /// The answer is out; the rest of a dropped body must come as soon as a head would have to.
    private func waitForRest() {
        phase = .dropping
        clientWait = .rest
        client.armTimer(at: now + listener.compiled.settings.timeouts.head)
        dropRest()
    }

    private func dropRest() {
        switch requestBody.drop(from: client) {
        case .needInput: return
        case .complete: break
        default: keepAlive = false
        }
        conclude(reason)
    }

    private func flushGenerated() {
        if phase != .generating { listener.counters.add(ListenerCounter.generated) }
        phase = .generating
        switch client.flushOutput() {
        case .done: keepAlive && !requestBody.sourceIsDone ? waitForRest() : conclude(reason)
        case .blocked: waitForClient()
        case .failed: abandon(.clientAborted)
        }
    }

    // MARK: The end

    /// The answer was begun and cannot be completed: the client must see that it was cut.
    private func cut(_ reason: EndReason) {
        if let target {
            target.pool.counters.add(TargetCounter.failures)
            target.pool.failed(groupIndex: targetIndex)
        }
        abandon(reason)
    }

    /// Both sides are closed at once.
    private func abandon(_ reason: EndReason) {
        guard phase != .idle else { return }
        if phase == .queued { _ = leaveQueue() }
        if reason == .clientAborted { listener.counters.add(ListenerCounter.clientAborts) }
        if let target {
            self.target = nil
            leaveTarget(target.pool)
            target.end(reset: phase != .tunnel && !requestIsSent)
        }
        let client = self.client!
        let isCut = phase == .answering
        end(reason)
        client.exchangeAbandoned(reset: isCut)
    }

    /// The time to drain is over, of the target or of the listener.
    func endByDeadline() { abandon(.shutdown) }

    /// The configuration changed: indices of rules and targets mean others now.
    func renumber(_ renumbering: Renumbering) {
        if rule >= 0, let rules = renumbering.rules[ObjectIdentifier(listener)] { rule = rules[rule] }
        guard let group, let targets = renumbering.targets[ObjectIdentifier(group)] else { return }
        if targetIndex >= 0 { targetIndex = targets[targetIndex] }
        var stillExcluded = Exclusions()
        for position in 0..<excluded.count where targets[excluded[position]] >= 0 {
            stillExcluded.insert(targets[excluded[position]])
        }
        excluded = stillExcluded
    }

    /// The client's connection was closed under the exchange.
    func clientVanished() {
        guard phase != .idle else { return }
        guard phase != .reading else { return release() }
        if phase == .queued { _ = leaveQueue() }
        if let target {
            self.target = nil
            leaveTarget(target.pool)
            target.end(reset: true)
        }
        end(.clientAborted)
    }

    /// The answer is with the kernel: logs, counts, and hands the client back to its next request.
    private func conclude(_ reason: EndReason) {
        let client = self.client!
        let keep = keepAlive
        let isRead = requestBody.sourceIsDone
        if clientWait != .none {
            clientWait = .none
            client.cancelTimer()
        }
        end(reason)
        client.exchangeEnded(keepAlive: keep, requestIsRead: isRead)
    }

    private func end(_ reason: EndReason) {
        self.reason = reason
        count()
        if let buffer = pinnedHead {
            pinnedHead = nil
            worker.loop.buffers.release(buffer)
        }
        phase = .idle
        serial &+= 1
        (client, listener, group) = (nil, nil, nil)
        worker.giveBack(self)
    }

    private func count() {
        let listener = self.listener!
        let counters = listener.counters
        counters.subtract(ListenerCounter.inFlight)
        counters.add(ListenerCounter.bytesFromClients, UInt64(requestBody.bytes))
        counters.add(ListenerCounter.bytesToClients, UInt64(answerBody.bytes))
        counters.add(ListenerCounter.firstReason + Int(reason.rawValue))
        if let refusal { counters.add(ListenerCounter.firstRefusal + Int(refusal.reason.rawValue)) }
        let total = (now - beganAt).count
        listener.totalTime.record(nanoseconds: total)
        if let offset = statusClassOffset(status) {
            counters.add(ListenerCounter.status2xx + offset)
            if rule >= 0 { listener.ruleRow(rule, id: ruleID)?.add(RuleCounter.status2xx + offset) }
        }
        if let group {
            group.counters.subtract(GroupCounter.inFlight)
            group.totalTime.record(nanoseconds: total)
            if let offset = statusClassOffset(status) { group.counters.add(GroupCounter.status2xx + offset) }
            if answeredAt > .zero {
                let targetTime = (answeredAt - chosenAt).count
                group.targetTime.record(nanoseconds: targetTime)
                listener.targetTime.record(nanoseconds: targetTime)
            }
        }
        if let log = worker.log { record(to: log) }
    }

    private func record(to log: AccessLog) {
        log.append(
            AccessRecord(
                endedAt: worker.wallTime, listener: listener.counters.id, rule: ruleID,
                group: group?.counters.id ?? 0, target: targetID, status: status, reason: reason,
                refusal: refusal?.reason, method: head.method, tries: tries, bytesIn: requestBody.bytes,
                bytesOut: answerBody.bytes, waitMicroseconds: Int((chosenAt - beganAt).microseconds),
                targetMicroseconds: answeredAt > .zero ? Int((answeredAt - chosenAt).microseconds) : -1,
                totalMicroseconds: Int((now - beganAt).microseconds), requestIDHigh: requestIDHigh,
                requestIDLow: requestIDLow),
            head: head, buffer: hasHead ? headBuffer : nil, requestID: keptRequestID, client: clientAddress)
    }
}

extension EndReason {
    fileprivate var isConnectFailure: Bool {
        switch self {
        case .connectRefused, .connectFailed, .connectTimeout: true
        default: false
        }
    }
}

extension FieldID {
    /// What a script on a page must not learn by way of TRACE. RFC 9110 §9.3.8
    fileprivate var isSecret: Bool {
        switch self {
        case .authorization, .proxyAuthorization, .cookie: true
        default: false
        }
    }
}
