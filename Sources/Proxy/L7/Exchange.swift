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
/// Invariants: it ends exactly once (``end``); a target's slot is given back exactly once (``leaveTarget``); the
/// head's bytes stay where `headBuffer` says until the end.
///
/// One machine in several files, a topic each: here the state, the beginning and the events; then the choice of a
/// target, the request's way, the answer's way, the tunnel, retries, time, generated answers and the end.
final class Exchange {
    enum Phase { case idle, reading, choosing, queued, forwarding, answering, tunnel, generating, dropping }
    /// What the client's timer stands for while the exchange runs.
    enum ClientWait { case none, queue, rates, tunnel, rest }

    let worker: Worker
    var client: ClientStream!
    var listener: ListenerRuntime!
    var target: TargetStream?
    var group: GroupRuntime?
    var targetIndex = -1
    var phase = Phase.idle

    /// In cells: parsing them in place would make every access an exclusivity check, some forty per request.
    private let headCell = RawCell(RequestHead())
    private let answerCell = RawCell(ResponseHead())
    var head: RequestHead {
        @inline(__always) _read { yield headCell.value }
        @inline(__always) _modify { yield &headCell.value }
    }
    /// ``head`` belongs to this exchange and not to the one before.
    private(set) var headIsFresh = false
    var answer: ResponseHead {
        @inline(__always) _read { yield answerCell.value }
        @inline(__always) _modify { yield &answerCell.value }
    }
    let requestBody = BodyTransfer()
    let answerBody = BodyTransfer()
    /// The head's buffer when the client's input went on in another one.
    var pinnedHead: Buffer?

    var keepAlive = false
    /// The one protocol that the target may switch to, in the client's own spelling; empty for none.
    var upgrade = ByteRange.empty
    var wantsUpgrade: Bool { !upgrade.isEmpty }
    var maxForwards: Int?
    /// Who asks: the connection's peer, or the one that trusted proxies speak for.
    var clientAddress = ClientAddressText()
    var requestIDHigh: UInt64 = 0
    var requestIDLow: UInt64 = 0
    var keptRequestID = ByteRange.empty
    var keptTraceID = ByteRange.empty

    var rule = -1
    /// Ids of the rule's and the last target's counters, 0 for none.
    var ruleID = 0
    var targetID = 0
    var status = 0
    var reason = EndReason.answered
    var refusal: Refusal?
    var tries = 0
    var excluded = Exclusions()
    /// Bytes of the request that this try may have shown to a target.
    var requestWasWritten = false
    var requestIsSent = false
    var answerBegan = false
    /// What the client's connection had sent when the answer's head was staged behind nothing else: as long as that does
    /// not change, nobody has seen the answer. `nil`: something else is under way.
    var answerIsUnsentAt: Int?
    /// What a slot was taken of; the target's limit may change meanwhile.
    var slot: SlotLimiter?
    /// Of the last exchange that had to wait; see ``place``.
    var keptPlace: UInt64?
    /// Its place in the group's queue, kept for the whole exchange: who had to wait again is not the last again.
    var place: UInt64? { queuedUntil == .zero ? nil : keptPlace }
    /// The queue it stands in, the group's or a target's, and its ticket there.
    var waitsIn: (queue: SlotQueue, ticket: UInt64)?
    /// Chosen, with a slot of it, but no connection to it may be opened yet.
    var waitsFor: TargetPool?
    var clientWait = ClientWait.none
    /// When waiting in the queue ends, `zero` before it has begun.
    var queuedUntil = MonotonicTime.zero
    var serial: UInt64 = 0

    var beganAt = MonotonicTime.zero
    var chosenAt = MonotonicTime.zero
    var sentAt = MonotonicTime.zero
    var answeredAt = MonotonicTime.zero
    /// The client's two directions; both may be waited for, while an early answer goes against an upload.
    var uploadRate = RateWatch()
    var downloadRate = RateWatch()
    var lastActivity = MonotonicTime.zero

    /// Where it is counted as waiting for a place in a shared connection.
    var placeQueue: SlotQueue?
    var answerIsBeingRead = false
    /// This try has had bytes of an answer, an interim one's too: another target would be asked twice for one answer.
    var answerBytesCame = false
    var interimCount = 0
    /// The client has been told to send its body.
    var continueWasPassedOn = false
    /// Failures of this exchange that were the pool's, and not the target's.
    var staleTries = 0
    /// Tries that the target had not begun with.
    var refusedTries = 0
    /// An earlier try went down with its connection, for an error that the target told.
    var brokeConnection = false
    /// The next try takes the place of one that is not counted.
    var replacesStale = false
    var tunnelAnswerEnded = false
    /// Content bytes of the answer of our own that is staged.
    var generatedBytes = 0

    init(worker: Worker) { self.worker = worker }

    var hasHead: Bool { headIsFresh && head.headEnd > 0 }
    /// The first byte of a request line was seen.
    var hasBegun: Bool { headIsFresh && head.hasBegun }
    /// Where ``head``'s ranges point into.
    var headBuffer: Buffer { pinnedHead ?? client.input! }
    var now: MonotonicTime { worker.loop.now }

    // MARK: Beginning

    /// Ready to read a head for `client`.
    func reset(client: ClientStream, listener: ListenerRuntime) {
        (self.client, self.listener) = (client, listener)
        phase = .reading
        headIsFresh = false
        serial &+= 1
        (target, group, targetIndex, rule, ruleID, targetID) = (nil, nil, -1, -1, 0, 0)
        (keepAlive, upgrade, maxForwards, keptRequestID, keptTraceID) = (false, .empty, nil, .empty, .empty)
        (status, reason, refusal, tries, excluded) = (0, .answered, nil, 0, Exclusions())
        (requestWasWritten, requestIsSent, answerBegan, slot) = (false, false, false, nil)
        (clientWait, queuedUntil) = (.none, .zero)
        (requestIDHigh, requestIDLow) = (0, 0)
        (continueWasPassedOn, staleTries, replacesStale) = (false, 0, false)
        (refusedTries, brokeConnection) = (0, false)
        beganAt = now
        (chosenAt, sentAt, answeredAt) = (beganAt, .zero, .zero)
        requestBody.begin(.none, sink: .asIs)
        answerBody.begin(.none, sink: .asIs)
    }

    /// Reads on in the request's head.
    func parseHead(_ buffer: Buffer, from start: Int, to end: Int) -> ParseResult {
        if !headIsFresh {
            head.reset()
            headIsFresh = true
        }
        return head.parse(buffer.bytes(0, end), from: start, limits: listener.limits)
    }

    /// The head came by a stream that tells otherwise whether its message goes on.
    func endHead(hasContent: Bool) { head.endsHere(hasContent: hasContent) }

    /// The head's bytes were moved within their buffer.
    func shiftHead(by distance: Int) { head.shift(by: distance) }

    /// Never used for a request after all.
    func release() {
        phase = .idle
        (client, listener) = (nil, nil)
        worker.giveBack(self)
    }

    /// The head is complete: decides what is done with the request.
    func begin() {
        let settings = listener.requestSettings
        beginCounting()
        keepAlive = !head.wantsClose && client.mayContinue
        takeRequestID()
        takeClient()
        // First of all: whatever the answer is, the next request begins behind this one's body.
        prepareBody()
        if case .length(let count) = head.framing, count > settings.bodyBytesMax { return fail(.bodyTooLarge) }
        switch head.method {
        case .connect: return fail(.methodNotAllowed)
        case .trace where !settings.allowsTrace: return fail(.methodNotAllowed)
        case .options, .trace:
            if let stop = countForwards() { return stop() }
        default: break
        }
        if head.hasUpgrade, head.framing == .none {
            upgrade = allowedUpgrade(listener.compiled.settings.upgrades)
        }
        if chooseRule() { act() }
    }

    func beginCounting() {
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

    func takeRequestID() {
        requestIDHigh = worker.random()
        requestIDLow = worker.random()
        if listener.requestSettings.requestID { keptRequestID = idToKeep(.xRequestID) }
        if listener.requestSettings.amazonTraceID { keptTraceID = idToKeep(.xAmznTraceID) }
    }

    /// The first value of a field that may go on: any from a trusted peer, a harmless one from others.
    func idToKeep(_ id: FieldID) -> ByteRange {
        guard head.fields.contains(id) else { return .empty }
        for field in head.fields where field.id == id {
            let value = headBuffer.bytes(field.value.start, field.value.end)
            guard RequestIDRules.isHarmless(value) || (client.isTrusted && value.count > 0) else { continue }
            return field.value
        }
        return .empty
    }

    /// Behind trusted proxies the client is whom X-Forwarded-For tells.
    func takeClient() {
        guard client.isTrusted, let peer = client.address, head.fields.contains(.xForwardedFor)
        else { return clientAddress = client.addressText }
        let trusted = listener.compiled.settings.forwarding.trustedProxies
        var walk = ClientAddressWalk(peer: peer, trusted: trusted)
        for field in head.fields.reversed() where field.id == .xForwardedFor {
            walk.readBackwards(headBuffer.bytes(field.value.start, field.value.end), trusted: trusted)
        }
        clientAddress = ClientAddressText(walk.client)
    }

    /// Max-Forwards of OPTIONS and TRACE: answered here at 0, else one less. RFC 9110 §7.6.2
    func countForwards() -> (() -> Void)? {
        for field in head.fields where field.id == .maxForwards {
            guard let count = decimalValue(headBuffer.bytes(0, head.headEnd), field.value) else { continue }
            if count == 0 { return { self.fail(.maxForwards) } }
            maxForwards = count - 1
        }
        return nil
    }

    /// Only one goes on: what the listener does not allow must not be offered beside what it does.
    func allowedUpgrade(_ tokens: [String]) -> ByteRange {
        head.upgrade(headBuffer.bytes(0, head.headEnd), among: tokens)
    }

    /// How an HTTP/1 target is told where the request's body ends.
    var sinkOfRequest: BodyTransfer.Sink {
        switch head.framing {
        case .none, .length: .asIs
        case .chunked, .untilClose: .chunked
        }
    }

    /// Bodies that are not wholly here get a buffer of their own, so that the head's bytes stay.
    func prepareBody() {
        requestBody.bytesMax = listener.requestSettings.bodyBytesMax
        requestBody.begin(head.framing, sink: sinkOfRequest)
        requestBody.keepsInput = true
        requestBody.guardsUnsent = true
        let isHere: Bool
        switch head.framing {
        case .none: isHere = true
        case .length(let count):
            isHere =
                client.unreadCount >= count
                && (!client.framesMessages || client.messageHasEnded && client.receivedTrailers.isEmpty)
        case .chunked, .untilClose: isHere = false
        }
        guard !isHere else { return }
        pinnedHead = client.continueInput(large: true)
        if case .length(let count) = head.framing { requestBody.keepsInput = count <= BodyTransfer.keptBytesMax }
    }

    // MARK: Events

    func clientIsReady(_ readiness: Readiness) {
        switch phase {
        case .idle, .reading: break
        case .choosing, .queued:
            if !readiness.isDisjoint(with: [.failed, .hungUp]) { return abandon(.clientAborted) }
            if phase == .queued, hasLeft { giveUpWaiting() }
        case .generating:
            if readiness.contains(.failed) { return abandon(.clientAborted) }
            if client.canSend { flushGenerated() }
        case .dropping: dropRest()
        case .forwarding, .answering:
            if placeQueue != nil, hasLeft { return giveUpWaiting() }
            if !readiness.isDisjoint(with: [.failed, .hungUp]), requestBody.sourceIsDone || readiness.contains(.failed)
            {
                return abandon(.clientAborted)
            }
            if !requestIsSent, let target { pumpRequest(to: target) }
            guard client != nil, client.canSend else { return }
            if phase == .answering, let target { return pumpAnswer(of: target) }
            // An interim answer may be held up.
            if phase == .forwarding, client.flushOutput() == .failed { abandon(.clientAborted) }
        case .tunnel:
            pumpTunnel()
        }
    }

    func targetIsReady(_ target: TargetStream, _ readiness: Readiness) {
        guard self.target === target else { return }
        if target.headIsTooLarge { return headIsTooLarge() }
        if !target.isConnected, phase == .forwarding {
            if !readiness.isDisjoint(with: [.failed, .hungUp]) {
                if let failure = target.handshakeFailure { return targetFailed(EndReason(failure)) }
                return targetFailed(connectError(target.connectFailure()))
            }
            if readiness.contains(.writable) { markConnected(target) }
        }
        switch phase {
        case .idle, .reading, .choosing, .queued, .generating, .dropping: break
        case .forwarding:
            if readiness.contains(.writable), !requestIsSent, target.canSend { pumpRequest(to: target) }
            if phase == .forwarding, self.target === target, target.mayHaveInput { readAnswer(of: target) }
        case .answering:
            if readiness.contains(.writable), !requestIsSent { pumpRequest(to: target) }
            if phase == .answering { pumpAnswer(of: target) }
        case .tunnel:
            pumpTunnel()
        }
    }

    func connectError(_ code: CInt) -> EndReason {
        switch code {
        case Errno.connectionRefused: .connectRefused
        case Errno.timedOut: .connectTimeout
        default: .connectFailed
        }
    }
}
