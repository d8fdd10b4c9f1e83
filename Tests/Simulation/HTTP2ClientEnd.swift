import PoiseModel
import PoiseSimulation

/// One HTTP/2 connection of a client, with prior knowledge.
final class HTTP2ClientEnd: HTTP2End<HTTP2ClientEnd.Request> {
    final class Request: ScriptedLane {
        let plan: RequestPlan
        /// `nil` where it is one of Poise's own.
        var answer: AnswerPlan?
        var received = 0
        var bodyText: [UInt8] = []
        var hasTrailers = false
        var isUncalledFor = false
        var awaitsContinue = false
        /// Its answer is here, or it is known that none comes.
        var isDone = false

        init(_ plan: RequestPlan) { self.plan = plan }
    }

    private enum Manner {
        case polite
        case slowReader
        case deadReader
        case closedWindows
        case aborts
        case garbage
        case stopsHalfway
        case resets
    }

    private let client: ScriptedClient
    private let manner: Manner
    /// As Poise must tell it.
    private var address: String
    private let isAside: Bool
    private let sideRemovals: Int
    private var isReadPaused = false
    private var lastProgress: MonotonicTime
    private var waiting: [Request] = []
    private var goesOnLater = false
    private let number: Int

    init(_ socket: SimulatedSocket, client: ScriptedClient, world: World, isAside: Bool) {
        (self.client, self.isAside, sideRemovals) = (client, isAside, world.sideRemovals)
        address = client.ip.dotted
        number = world.ledger.addConnection()
        lastProgress = world.patientTime
        manner =
            world.random.chance(percent: world.scenario.rudeClients)
            ? world.random.pick([
                .slowReader, .deadReader, .closedWindows, .aborts, .garbage, .stopsHalfway, .resets,
            ]) : .polite
        super.init(socket, "client \(client.ip) socket \(socket.number)", isClient: true, world: world)
    }

    func begin() {
        trace("connects by HTTP/2 as \(manner)")
        socket.onChange = { [self] in changed() }
        if world.scenario.usesProxyProtocol { sendPreamble() }
        if manner == .closedWindows { grants = false }
        beginHTTP2()
        sendBatch()
        if manner == .aborts { world.network.after(world.pause()) { [self] in abort() } }
        if manner == .garbage { world.network.after(world.pause()) { [self] in sendGarbage() } }
        watch()
    }

    /// The listener is gone since.
    private var isRetired: Bool { isAside && world.sideRemovals > sideRemovals }

    // MARK: Sending

    private func sendPreamble() {
        let (bytes, told) = Preamble.random(&world.random)
        if let told { address = told }
        let cut = world.random.pick(0...bytes.count)
        stream.add(.send(bytes[..<cut]))
        stream.add(.pause(world.pause()))
        stream.add(.send(bytes[cut...]))
    }

    private func sendBatch() {
        for _ in 0..<client.takeBatch(max: 6) {
            let plan = world.makeRequest(isHTTP10: false, mayExpect: manner == .polite)
            plan.clientAddress = address
            plan.connection = number
            plan.isMultiplexed = true
            // A body whose length is 0 is over before they come.
            plan.hasTrailers = (plan.framing == .chunked || plan.bodyCount > 0) && world.random.chance(percent: 20)
            let request = Request(plan)
            waiting.append(request)
            add(request)
            write(request)
            let isCancelled = world.random.chance(percent: manner == .resets ? 70 : world.scenario.cancels)
            if isCancelled { world.network.after(world.pause()) { [self] in cancel(request) } }
        }
        pumpOut()
    }

    private func write(_ request: Request) {
        let plan = request.plan
        trace("asks \(plan.method) \(plan.id), \(plan.framing) \(plan.bodyCount)")
        var fields = [
            Field(":method", plan.method), Field(":scheme", "http"), Field(":path", "/r/\(plan.id)"),
            Field(":authority", "shop.test"),
        ]
        fields.shuffle(using: &world.random)
        fields.append(Field("x-mark", "mark-\(plan.id)"))
        if world.random.chance(percent: 10) {
            fields.append(Field("x-long", String(repeating: "y", count: world.random.size(upTo: 6000))))
        }
        // RFC 9218 §4: some go before others.
        if world.random.chance(percent: 20) { fields.append(Field("priority", "u=\(world.random.pick(0...7))")) }
        if plan.framing == .length { fields.append(Field("content-length", "\(plan.bodyCount)")) }
        if plan.expectsContinue { fields.append(Field("expect", "100-continue")) }
        if world.random.chance(percent: 30) { request.steps.append(.pause(world.pause())) }
        request.steps.append(.head(fields, ends: plan.framing == .none))
        guard plan.expectsContinue else { return addBody(request) }
        request.awaitsContinue = true
        world.network.after(world.pause() + .seconds(1)) { [self] in continueBody(request) }
    }

    private func continueBody(_ request: Request) {
        guard request.awaitsContinue, !request.isSilent, !hasLeft else { return }
        request.awaitsContinue = false
        addBody(request)
        pumpOut()
    }

    private func addBody(_ request: Request) {
        let plan = request.plan
        guard plan.framing != .none else { return }
        let stopsAt = manner == .stopsHalfway ? plan.bodyCount / 2 : plan.bodyCount
        var sent = 0
        while sent < stopsAt {
            let piece = min(stopsAt - sent, max(1, world.random.size(upTo: plan.bodyCount)))
            let ends = sent + piece == plan.bodyCount && !plan.hasTrailers
            request.steps.append(.data(Bytes.body(at: plan.bodyOffset + sent, piece), ends: ends))
            sent += piece
            if world.random.chance(percent: 15) { request.steps.append(.pause(world.pause())) }
        }
        guard manner != .stopsHalfway else { return }
        if plan.hasTrailers {
            request.steps.append(.head([Field("x-trailer", "t-\(plan.id)")], ends: true))
        } else if plan.bodyCount == 0 {
            request.steps.append(.data([], ends: true))
        }
    }

    /// The client does not want the answer any more.
    private func cancel(_ request: Request) {
        guard !request.isDone, !hasLeft else { return }
        world.tally.cut += 1
        giveUp(request, .cancel)
        done(request)
    }

    /// Nothing more is sent for it.
    private func giveUp(_ request: Request, _ code: Frame.Code) {
        if request.id == 0 { request.hasReset = true }
        request.steps = []
        reset(request, code)
    }

    private func sendGarbage() {
        guard !hasLeft else { return }
        let some = lanes.keys.max() ?? 1
        let way = world.random.pick(0...13)
        trace("sends garbage of kind \(way)")
        let bytes: [UInt8] =
            switch way {
            case 0: Frame.write(.data, [1, 2, 3])
            case 1: Frame.write(.windowUpdate, Frame.bytes(0))
            case 2: Frame.write(.windowUpdate, Frame.bytes(0x7FFF_FFFF))
            case 3: Frame.write(.headers, flags: 5, stream: 2, [0x82])
            case 4: Frame.header(.data, flags: 0, stream: some, count: 20_000)
            case 5: Frame.write(.continuation, flags: 4, stream: some, [])
            case 6: Frame.write(.headers, flags: 5, stream: some + 2, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
            case 7: Frame.write(.reset, stream: some + 100, Frame.bytes(8))
            case 8: Frame.settings([(.initialWindow, -1)])
            case 9: Frame.write(.headers, flags: 0, stream: some + 2, [0x82])
            case 10: Frame.write(.data, flags: 1, stream: some, [UInt8](repeating: 1, count: 5))
            case 11: Frame.write(.windowUpdate, stream: some, Frame.bytes(0))
            case 12: Frame.write(.headers, flags: 5, stream: some + 2, [0x82, 0x86, 0x84, 0, 1, 65, 1, 65])
            default: (0..<60).map { _ in UInt8(world.random.pick(0...255)) }
            }
        // An overflow, unless the window is used up.
        if way == 2 { credit += 0x7FFF_FFFF }
        sendRaw(bytes)
    }

    // MARK: Reading

    private func changed() {
        stream.pump()
        pumpOut()
        readOn()
    }

    private func readOn() {
        guard manner != .deadReader, !isReadPaused else { return }
        read(manner == .slowReader ? 700 : 1 << 16) { [self] in
            lastProgress = world.patientTime
            guard manner == .slowReader, world.random.chance(percent: 50) else { return true }
            isReadPaused = true
            world.network.after(world.pause()) { [self] in
                isReadPaused = false
                if !hasLeft { readOn() }
            }
            return false
        }
    }

    override func settingsArrived() { pumpOut() }

    override func headArrived(_ fields: [Field], on request: Request, ends: Bool) {
        let plan = request.plan
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        guard let status = value(":status").flatMap({ Int($0) }) else { return fail("no status for \(plan.id)") }
        if status < 200 {
            guard status == 100 || status == 103 else { return fail("an interim answer \(status) to \(plan.id)") }
            if status == 100 { continueBody(request) }
            return
        }
        if plan.method == "HEAD" || status == 304 || status == 204 { request.contentLength = nil }
        guard let number = value("x-answer") else {
            guard value("server") == "poise", value("cache-control") == "no-store" else {
                return fail("an answer \(status) from nowhere to \(plan.id)")
            }
            trace("is told \(status) for \(plan.id)")
            request.isUncalledFor =
                !(isRetired && status == 503) && !world.mayBeGenerated(status, isPolite: manner == .polite, plan)
            return
        }
        guard let answer = world.ledger.answer(number), answer.requestID == plan.id else {
            return fail("request \(plan.id) was given the answer \(number) of another")
        }
        request.answer = answer
        if answer.status != status { fail("answer \(number) has become \(status)") }
        if answer.framing == .length, plan.method != "HEAD", request.contentLength != answer.bodyCount, !answer.isCut {
            fail("answer \(number) lost its length")
        }
    }

    override func dataArrived(_ bytes: ArraySlice<UInt8>, on request: Request) {
        if let answer = request.answer {
            guard request.received + bytes.count <= answer.bodyCount,
                Bytes.matches(bytes, at: answer.bodyOffset + request.received)
            else { return fail("the body of answer \(answer.number) is wrong behind byte \(request.received)") }
        } else {
            request.bodyText += bytes
        }
        request.received += bytes.count
    }

    override func trailersArrived(_ fields: [Field], on request: Request) {
        guard let answer = request.answer, answer.hasTrailers, fields == [Field("x-sum", "s-\(answer.number)")] else {
            return fail("trailers \(fields.map(\.name)) for \(request.plan.id)")
        }
        request.hasTrailers = true
    }

    override func messageEnded(on request: Request) {
        let plan = request.plan
        if let answer = request.answer {
            let expected = plan.method == "HEAD" ? 0 : answer.bodyCount
            if request.received != expected || answer.isCut {
                fail("answer \(answer.number) to \(plan.id) looks whole with \(request.received) of \(expected) bytes")
            }
            if answer.hasTrailers, !request.hasTrailers { fail("answer \(answer.number) lost its trailers") }
            trace("has the answer to \(plan.id)")
            world.tally.answered += 1
            world.tally.multiplexed += 1
        } else {
            let text = String(decoding: request.bodyText, as: UTF8.self)
            if request.isUncalledFor { fail("request \(plan.id) was answered by Poise: \(text)") }
            if plan.method != "HEAD", !text.contains("(") { fail("an error without a reason: \(text)") }
            world.tally.generated += 1
        }
        request.awaitsContinue = false
        done(request)
        // The rest of a request that is answered already goes on, or is given up.
        guard !request.hasEnded else { return }
        if request.steps.isEmpty || world.random.chance(percent: 50) { giveUp(request, .cancel) }
    }

    override func resetArrived(_ code: Int, on request: Request) {
        guard !request.isDone else {
            if manner == .polite, code != Frame.Code.none.rawValue, code != Frame.Code.cancel.rawValue {
                fail("stream \(request.id) is reset with \(code) behind its answer")
            }
            return
        }
        let plan = request.plan
        if code == Frame.Code.refused.rawValue, request.finalHeads == 0 {
            disown(request)
        } else {
            if manner == .polite, !isRetired, !world.mayBeCut(hasHead: request.finalHeads > 0, isReset: false) {
                fail("request \(plan.id) was not answered: its stream was reset with \(code)")
            }
            world.tally.cut += 1
        }
        done(request)
    }

    /// Poise says that it has not begun with it: no target may see it, and it is asked anew.
    private func disown(_ request: Request) {
        if request.plan.seen > 0 { fail("request \(request.plan.id) is disowned, and a target has seen it") }
        request.plan.isDisowned = true
        world.tally.disowned += 1
        client.putBack()
    }

    override func goAwayArrived(_ last: Int, _ code: Int) {
        if code != 0, manner == .polite, world.scenario.isPerfect || world.scenario.kind == .hostile {
            return fail("is told to go away with the error \(code)")
        }
        for request in waiting where request.id == 0 || request.id > last {
            giveUp(request, .cancel)
            disown(request)
            done(request)
        }
    }

    private func done(_ request: Request) {
        request.isDone = true
        waiting.removeAll { $0 === request }
        guard waiting.isEmpty, manner != .aborts, !goesOnLater else { return }
        goesOnLater = true
        world.network.after(world.pause()) { [self] in
            goesOnLater = false
            goOn()
        }
    }

    /// All answers are here, and the connection is kept.
    private func goOn() {
        guard !hasLeft, waiting.isEmpty else { return }
        let mayGoOn = peerGoAway == nil && manner != .garbage && manner != .stopsHalfway
        guard mayGoOn, client.hasMore, world.random.chance(percent: 80) else { return finish() }
        sendBatch()
    }

    // MARK: The end

    private func abort() {
        guard !hasLeft else { return }
        trace("aborts")
        world.random.chance(percent: 50) ? socket.reset() : socket.close()
        depart()
    }

    private func finish() {
        guard !hasLeft else { return }
        if world.random.chance(percent: 30) { goAway(0) }
        socket.close()
        depart()
    }

    private func depart() {
        guard !hasLeft else { return }
        leave()
        world.tally.cut += waiting.count
        client.connectionEnded()
    }

    /// Poise has closed.
    override func connectionEnded(isReset: Bool) {
        for request in waiting {
            let mayBeLost = isRetired && request.finalHeads == 0
            if request.id == 0 {
                client.putBack()
            } else if manner == .polite, !mayBeLost,
                !world.mayBeCut(hasHead: request.finalHeads > 0, isReset: isReset)
            {
                fail("request \(request.plan.id) was not answered: the connection was \(isReset ? "reset" : "closed")")
            }
        }
        socket.close()
        depart()
    }

    /// Nobody waits for ever: whoever hears nothing for this long has found an exchange that is stuck.
    private func watch() {
        world.network.after(.seconds(100)) { [self] in
            guard !hasLeft else { return }
            guard world.patientTime >= lastProgress + .seconds(400) else { return watch() }
            trace(state)
            if manner == .polite { fail("waits for \(waiting.map(\.plan.id)) for ever") }
            // Who neither reads nor writes is Poise's to get rid of: it leaves no connection open at the end.
            if world.scenario.clientLimits.bodyRateMin > 0 { depart() } else { finish() }
        }
    }
}
