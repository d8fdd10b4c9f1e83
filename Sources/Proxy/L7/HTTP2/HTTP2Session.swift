import PoiseHTTP
import PoiseLoop
import PoiseModel

/// Whose connection it is: a client's, or one to a target.
protocol HTTP2SessionOwner: AnyObject {
    /// A client's request opened a stream; its head, if it is there, waits in the lane.
    ///
    /// - Parameter refusal: the head could not be taken.
    func opened(_ lane: HTTP2Lane, hasContent: Bool, refusal: Refusal?)
    /// A stream was given back: there is room for another one.
    func streamClosed()
    /// What crossed the first GOAWAY on its way has come.
    func crossedEnd()
    /// The peer's settings came, or it takes no new streams.
    func termsChanged()
    /// A stream failed or was refused by the peer's fault.
    func count(_ fault: HTTP2Fault)
    /// GOAWAY is on its way, for a fault: nothing more is read, and all streams are void.
    func failed(_ fault: HTTP2Fault)
    /// The socket is at its end or broken: all streams are void.
    func disconnected()
}

/// One HTTP/2 connection in traffic, on either side: the machine, fed from its carrier's input and writing into its
/// carrier's output, and the streams that meet there.
///
///     carrier.input → machine → events → lanes → streams
///     heads, content, ends of streams → machine → carrier.output → one send at the end of the wake-up
///
/// All frames of a wake-up leave together, in as few TLS records and system calls as can be.
final class HTTP2Session {
    /// The socket with its buffers. It owns the session.
    unowned let carrier: Stream
    unowned let owner: any HTTP2SessionOwner
    let worker: Worker
    private let role: HTTP2Connection.Role
    let machine: RawCell<HTTP2Connection>
    let workspace: RawCell<HTTP2Workspace>
    /// By the machine's slot.
    private let lanes = RawTable<HTTP2Lane?>()
    /// Lanes whose streams wait for room in a window or in the output.
    let waiting = RawTable<HTTP2Lane>()
    /// Lanes whose windows grew while they waited; `wakesAll`: the window of all did.
    let widened = RawTable<HTTP2Lane>()
    var wakesAll = false
    /// Lanes with content that their streams have not been told of.
    private let withNews = RawTable<HTTP2Lane>()
    /// Requests whose head was read in this turn, in their order.
    private let opened = RawTable<Opening>()
    /// Frames that found no room in the carrier's output, behind all that is there.
    var spill: [UInt8] = []
    var isDirty = false
    private var isReading = false
    var hasFailed = false
    /// The socket refused a send: to be told in the next turn.
    var isBroken = false
    /// Content or reading stopped for want of room in the output; and there is room again.
    var outputWasFull = false
    var mayGoOn = false
    /// After GOAWAY the machine tells which streams it left out, without further bytes.
    private var hasReports = false
    private(set) var openCount = 0
    /// Streams whose answer is whole and whose request is not, oldest first.
    private var draining: [HTTP2Lane] = []
    /// A PING is out since then; `distantFuture` while none is.
    private var pingedAt = MonotonicTime.distantFuture

    private struct Opening {
        let lane: HTTP2Lane
        let hasContent: Bool
        let refusal: Refusal?
    }

    /// A peer that does not read is not read from.
    private static var repliesStagedMax: Int { 160 * 1024 }
    private static var eventsPerTurn: Int { 256 }

    init(carrier: Stream, owner: any HTTP2SessionOwner, role: HTTP2Connection.Role, settings: HTTP2LocalSettings) {
        (self.carrier, self.owner, self.role, worker) = (carrier, owner, role, carrier.worker)
        workspace = carrier.worker.http2
        machine = RawCell(HTTP2Connection(role: role, settings: settings))
        emit(HTTP2Connection.replyBytesMax) { machine.value.start(workspace: &workspace.value, to: &$0) }
    }

    // MARK: Reading

    /// Reads what has come, event by event.
    func read() {
        guard !isReading else { return }
        isReading = true
        defer { isReading = false }
        if !draining.isEmpty { endDraining() }
        var events = 0
        while carrier.isOpen, !hasFailed {
            if carrier.unreadCount > 0, !readEvents(&events) { return carrier.again() }
            if stagedCount > Self.repliesStagedMax { outputWasFull = true }
            guard carrier.isOpen, !hasFailed, carrier.mayHaveInput, stagedCount <= Self.repliesStagedMax else { break }
            // A partial frame stays in front; a full buffer has shown that much is coming.
            let isBulk = carrier.input.map { carrier.inputEnd == $0.capacity } ?? false
            carrier.inputStart = carrier.inputCursor
            if carrier.inputStart > 0 || isBulk { _ = carrier.compactInput(large: isBulk) }
            switch carrier.fill(large: false) {
            case .bytes: continue
            case .blocked: break
            case .full: preconditionFailure("the machine leaves room")
            case .endOfStream, .failed: return owner.disconnected()
            }
        }
        if carrier.isOpen { carrier.releaseInputIfEmpty() }
    }

    /// - Returns: false when the turn is used up.
    private func readEvents(_ events: inout Int) -> Bool {
        while carrier.unreadCount > 0 || hasReports, let buffer = carrier.input {
            guard events < Self.eventsPerTurn, stagedCount <= Self.repliesStagedMax else {
                tellWhatCame()
                // What could not be answered goes on when the output has left.
                if stagedCount > Self.repliesStagedMax { outputWasFull = true }
                return stagedCount > Self.repliesStagedMax && !carrier.canSend
            }
            events += 1
            var position = carrier.inputCursor
            let end = carrier.inputEnd
            let event = emit(HTTP2Connection.replyBytesMax) {
                machine.value.next(
                    buffer.bytes(0, end), position: &position, end: end, now: worker.loop.now,
                    workspace: &workspace.value, to: &$0)
            }
            carrier.inputCursor = position
            if case .needMore = event {
                hasReports = false
                break
            }
            handle(event, buffer)
            guard carrier.isOpen, !hasFailed else { return true }
        }
        tellWhatCame()
        return true
    }

    /// Content is passed on when all that was received has been read: in as few pieces as it came.
    private func tellLater(_ lane: HTTP2Lane) {
        guard !lane.hasNews else { return }
        lane.hasNews = true
        withNews.append(lane)
    }

    private func tellWhatCame() {
        tellOfContent()
        tellOfRoom()
        tellOfRequests()
    }

    private func tellOfContent() {
        guard !withNews.isEmpty else { return }
        for index in withNews.indices where withNews[index].hasNews {
            withNews[index].hasNews = false
            withNews[index].stream?.inputCame()
        }
        while withNews.popLast() != nil {}
    }

    private func handle(_ event: HTTP2Connection.Event, _ buffer: Buffer) {
        switch event {
        case .needMore, .replied, .priorityChanged: break
        case .head(let slot, let ends): takeHead(slot, ends)
        case .headTooLarge(let slot, let ends, let fault):
            let lane = open(slot)
            if ends { lane.end() }
            let refusal = Refusal(fault == .tooManyFields ? .tooManyFields : .headTooLarge)
            opened.append(Opening(lane: lane, hasContent: !ends, refusal: refusal))
        case .trailers(let slot):
            guard let lane = lane(slot) else { return }
            guard !lane.isDraining else { return drain(lane, 0, ends: true) }
            lane.takeTrailers(of: workspace.value)
            tellLater(lane)
        case .data(let slot, let range, let ends):
            guard let lane = lane(slot) else { return }
            guard !lane.isDraining else { return drain(lane, range.count, ends: ends) }
            guard lane.append(buffer.bytes(range.start, range.end), worker.loop) else {
                reset(slot, .flowControlError)
                return drop(slot, .flowControlError)
            }
            if ends { lane.end() }
            tellLater(lane)
        case .streamReset(let slot, let code): drop(slot, code)
        case .streamFailed(let slot, let code, let fault):
            owner.count(fault)
            drop(slot, code)
        case .streamRefused(_, let fault): owner.count(fault)
        case .writable(let slot):
            if let slot { wakeLater(slot) } else { wakesAll = true }
        case .settingsChanged:
            // Windows of streams that are open changed with the initial one.
            wakesAll = true
            owner.termsChanged()
        case .goAway:
            hasReports = true
            owner.termsChanged()
        case .pingAcknowledged(Self.endPing): owner.crossedEnd()
        case .pingAcknowledged: pingedAt = .distantFuture
        case .refusedConnection(_, let fault): giveUp(fault)
        }
    }

    private func giveUp(_ fault: HTTP2Fault) {
        hasFailed = true
        flush()
        owner.failed(fault)
    }

    private func takeHead(_ slot: Int, _ ends: Bool) {
        let known = lane(slot)
        let lane = known ?? open(slot)
        lane.takeHead(of: workspace.value, worker.loop)
        if ends { lane.end() }
        if known == nil {
            opened.append(Opening(lane: lane, hasContent: !ends, refusal: nil))
        } else {
            lane.stream?.inputCame()
        }
    }

    /// Requests begin once all that came together with them is read: who takes one back in the same breath costs no
    /// target anything.
    private func tellOfRequests() {
        for index in opened.indices where opened[index].lane.session != nil {
            owner.opened(opened[index].lane, hasContent: opened[index].hasContent, refusal: opened[index].refusal)
        }
        while opened.popLast() != nil {}
    }

    func lane(_ slot: Int) -> HTTP2Lane? { slot < lanes.count ? lanes[slot] : nil }

    private func open(_ slot: Int) -> HTTP2Lane {
        while lanes.count <= slot { lanes.append(nil) }
        let lane = HTTP2Lane(session: self, slot: slot)
        lanes[slot] = lane
        openCount += 1
        return lane
    }

    /// The peer, or a fault of its, ended the stream.
    private func drop(_ slot: Int, _ code: HTTP2ErrorCode) {
        guard let lane = lane(slot) else { return }
        // A target's answer that is here as a whole is taken, whatever becomes of its stream. RFC 9113 §8.1
        let stream = lane.stream
        if role == .client, lane.peerHasEnded {
            lane.leaveSession()
            lane.hasNews = false
            stream?.inputCame()
            return
        }
        lane.reset(code, worker.loop)
        stream?.peerReset()
    }

    /// The connection is gone: so are all streams.
    func dropAll() {
        hasFailed = true
        for slot in lanes.indices { drop(slot, .cancel) }
        draining = []
    }

    // MARK: Streams

    /// A stream of our own, towards a target; `nil` where the peer allows no more.
    func openStream() -> HTTP2Lane? { machine.value.openStream().map { open($0) } }

    /// How many more could be opened now.
    var streamsMax: Int { min(machine.value.settings.streamsMax, machine.value.peerStreamsMax) }
    var takesStreams: Bool { !hasFailed && !machine.value.peerIsGoingAway && !machine.value.isGoingAway }

    /// Nobody uses the slot any more. What is missing of the stream is reset by the machine.
    func release(_ slot: Int) {
        guard let lane = lane(slot) else { return }
        lanes[slot] = nil
        if lane.isDraining { draining.removeAll { $0 === lane } } else { openCount -= 1 }
        if !hasFailed {
            emit(HTTP2Connection.replyBytesMax) {
                machine.value.release(slot: slot, workspace: &workspace.value, to: &$0)
            }
        }
        owner.streamClosed()
    }

    /// The answer is whole and the request is not: its rest is dropped for a while. A reset that comes in one read with the
    /// answer makes some clients (curl 7.88) take the answer for broken. RFC 9113 §8.1
    ///
    /// - Parameter unread: what had come and was not passed on.
    func beganDraining(_ lane: HTTP2Lane, unread: Int) {
        openCount -= 1
        lane.drainsUntil = worker.loop.now + Self.drainTime
        draining.append(lane)
        if unread > 0 { consumed(lane.slot, unread) }
        if draining.count > Self.drainingMax { draining[0].close(worker.loop) }
        owner.streamClosed()
    }

    /// More than this of a request that is answered is not listened to, not for longer, and not of more at a time: they count
    /// among the streams that the client may have open.
    private static var drainedBytesMax: Int { 256 * 1024 }
    private static var drainTime: Nanoseconds { .seconds(2) }
    private static var drainingMax: Int { 8 }

    private func drain(_ lane: HTTP2Lane, _ count: Int, ends: Bool) {
        lane.drained += count
        if count > 0 { consumed(lane.slot, count) }
        if ends || lane.drained > Self.drainedBytesMax { lane.close(worker.loop) }
    }

    /// Those whose time is over. Of a client that says nothing they hurt nobody: asked whenever it does.
    private func endDraining() {
        while let lane = draining.first, lane.drainsUntil <= worker.loop.now { lane.close(worker.loop) }
    }

    func reset(_ slot: Int, _ code: HTTP2ErrorCode) {
        guard !hasFailed else { return }
        emit(HTTP2Connection.replyBytesMax) {
            machine.value.reset(slot: slot, code, workspace: &workspace.value, to: &$0)
        }
    }

    func consumed(_ slot: Int, _ count: Int) {
        guard !hasFailed else { return }
        emit(HTTP2Connection.replyBytesMax) {
            machine.value.consumed(slot: slot, count, workspace: &workspace.value, to: &$0)
        }
    }

    // MARK: The end, and signs of life

    /// What the peer has begun and owes the rest of.
    var awaitedHead: UInt32? { machine.value.awaitedHead }

    /// Ends the connection for a fault that only a clock shows.
    func fail(_ code: HTTP2ErrorCode, _ fault: HTTP2Fault) {
        guard !hasFailed else { return }
        emit(HTTP2Connection.replyBytesMax) {
            machine.value.fail(code, fault, workspace: &workspace.value, to: &$0)
        }
        giveUp(fault)
    }

    ///
    /// - Parameter final: else the owner is told when what crosses it has come.
    func goAway(final: Bool) {
        guard !hasFailed else { return }
        emit(HTTP2Connection.replyBytesMax) {
            machine.value.goAway(final: final, workspace: &workspace.value, to: &$0)
        }
        if final { isClosing = true } else { send(ping: Self.endPing) }
    }

    /// The last GOAWAY is said: who has no stream open can go.
    private(set) var isClosing = false

    func forEachExchange(_ body: (Exchange) -> Void) {
        for slot in lanes.indices { lanes[slot]?.stream?.visitExchange(body) }
    }

    /// Asks the peer for a sign of life.
    ///
    /// - Returns: false where the last question is not answered yet.
    func ping() -> Bool {
        guard pingedAt == .distantFuture else { return false }
        pingedAt = worker.loop.now
        send(ping: Self.lifePing)
        return true
    }

    private static var lifePing: UInt64 { 1 }
    private static var endPing: UInt64 { 2 }

    private func send(ping payload: UInt64) {
        emit(HTTP2Connection.replyBytesMax) {
            machine.value.ping(payload, workspace: &workspace.value, to: &$0)
        }
    }
}
