import PoiseModel
import PoiseSimulation

/// One HTTP/2 connection that a target accepted: many requests at once, answered in any order.
final class HTTP2TargetEnd: HTTP2End<HTTP2TargetEnd.Request>, TargetEnd {
    final class Request: ScriptedLane {
        /// `nil` where it is not listened to.
        var plan: RequestPlan?
        var bodyCount = 0
        var hasTrailers = false
        /// What is done once the request's body is here; `nil` when the answer is under way already.
        var answerAtEnd: AnswerPlan?
    }

    private unowned let target: ScriptedTarget
    private var isGoingAway = false

    init(_ socket: SimulatedSocket, target: ScriptedTarget, world: World) {
        self.target = target
        super.init(socket, "target \(target.index) socket \(socket.number)", isClient: false, world: world)
    }

    /// - Parameter first: what was read of the connection already.
    func begin(_ first: [UInt8]) {
        // Some take their time. SETTINGS come first all the same.
        let wait = world.random.chance(percent: 70) ? Nanoseconds.zero : delay()
        world.network.after(wait) { [self] in
            guard !hasLeft else { return }
            socket.onChange = { [self] in changed() }
            beginHTTP2()
            feed(first)
            changed()
        }
    }

    func kill() {
        leave()
        socket.close()
    }

    private func changed() {
        stream.pump()
        pumpOut()
        read()
    }

    override func connectionEnded(isReset: Bool) { end() }

    private func end() {
        leave()
        socket.close()
        target.forget(self)
    }

    private func delay() -> Nanoseconds { Nanoseconds(Int64(world.random.size(upTo: 100_000_000))) }

    // MARK: Requests

    override func open(_ id: Int) -> Request? {
        let request = Request()
        // Said to be left out: read, for the tables' sake, and forgotten.
        if id > lastProcessed { request.hasReset = true }
        return request
    }

    override func headArrived(_ fields: [Field], on request: Request, ends: Bool) {
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        let names = fields.prefix { $0.name.hasPrefix(":") }.map(\.name).sorted()
        guard names == [":authority", ":method", ":path", ":scheme"], value(":scheme") == "http",
            value(":authority") == "shop.test", value("host") == nil
        else { return fail("a request with \(names), \(value(":scheme") ?? ""), \(value(":authority") ?? "")") }
        if world.random.chance(percent: world.scenario.refusals),
            let plan = world.ledger.request(value(":path")!.dropFirst(3)), plan.refusals < 2
        {
            plan.refusals += 1
            return reset(request, .refused)
        }
        guard let plan = target.note(value(":method")!, value(":path")!, value) else { return }
        request.plan = plan
        switch plan.framing {
        case .none: if request.contentLength ?? 0 > 0 { fail("request \(plan.id) got a body") }
        case .length: if request.contentLength != plan.bodyCount { fail("request \(plan.id) lost its length") }
        case .chunked: if request.contentLength != nil { fail("request \(plan.id) has a length now") }
        }
        if world.random.chance(percent: world.scenario.goAways) { goAwaySoon() }
        if plan.expectsContinue, value("expect") == "100-continue", !world.random.chance(percent: 20) {
            request.steps.append(.head([Field(":status", "100")], ends: false))
        }
        decide(plan, request)
        pumpOut()
    }

    override func headCameTooLate(_ fields: [Field]) {
        let path = fields.first { $0.name == ":path" }?.value.dropFirst(3)
        if let path, let plan = world.ledger.request(path) { plan.refusals += 1 }
    }

    override func dataArrived(_ bytes: ArraySlice<UInt8>, on request: Request) {
        guard let plan = request.plan else { return }
        guard request.bodyCount + bytes.count <= plan.bodyCount,
            Bytes.matches(bytes, at: plan.bodyOffset + request.bodyCount)
        else { return fail("the body of request \(plan.id) is wrong behind byte \(request.bodyCount)") }
        request.bodyCount += bytes.count
    }

    override func trailersArrived(_ fields: [Field], on request: Request) {
        guard let plan = request.plan else { return }
        guard plan.hasTrailers, fields == [Field("x-trailer", "t-\(plan.id)")] else {
            return fail("request \(plan.id) has the trailers \(fields)")
        }
        request.hasTrailers = true
    }

    override func messageEnded(on request: Request) {
        guard let plan = request.plan else { return }
        if request.bodyCount != plan.bodyCount {
            fail("request \(plan.id) seemed whole with \(request.bodyCount) of \(plan.bodyCount) bytes")
        }
        if plan.hasTrailers, plan.framing == .chunked, !request.hasTrailers {
            fail("request \(plan.id) lost its trailers")
        }
        if let answer = request.answerAtEnd {
            request.answerAtEnd = nil
            self.answer(answer, request)
        }
    }

    override func resetArrived(_ code: Int, on request: Request) {
        request.answerAtEnd = nil
        closeIfDone()
    }

    override func goAwayArrived(_ last: Int, _ code: Int) {
        if code != 0, world.scenario.faultyAnswers == 0 { fail("is told to go away with the error \(code)") }
    }

    // MARK: Going away

    /// In two steps, or in one: what crosses it is left out, and so are requests that nothing was done for.
    private func goAwaySoon() {
        guard !isGoingAway else { return }
        isGoingAway = true
        if world.random.chance(percent: 50) {
            goAway(0x7FFF_FFFF)
            world.network.after(delay()) { [self] in finishGoAway() }
        } else {
            finishGoAway()
        }
    }

    private func finishGoAway() {
        guard !hasLeft else { return }
        var last = lastStream
        // The newest ones may be as good as not read.
        for request in active.reversed() where world.random.chance(percent: 30) {
            // Unless something was said to them.
            guard let plan = request.plan, request.answerAtEnd != nil, !plan.expectsContinue, request.id == last,
                plan.refusals < 2
            else { break }
            plan.refusals += 1
            plan.seen -= 1
            (request.plan, request.answerAtEnd, request.hasReset) = (nil, nil, true)
            last = lanes.keys.filter { $0 < request.id }.max() ?? 0
        }
        goAway(last)
    }

    private func closeIfDone() {
        guard world.scenario.targetsCloseIdle, openCount == 0, world.random.chance(percent: 30) else { return }
        world.network.after(delay()) { [self] in
            guard !hasLeft, openCount == 0 else { return }
            if world.random.chance(percent: 50) { goAway(lastStream) }
            end()
        }
    }

    // MARK: Answering

    private func decide(_ plan: RequestPlan, _ request: Request) {
        let isFaulty = world.random.chance(percent: world.scenario.faultyAnswers)
        if isFaulty, world.random.chance(percent: 40) { return misbehave(plan, request) }
        let isUnavailable = isFaulty && world.random.chance(percent: 50)
        let framing = world.random.pick([AnswerPlan.Framing.length, .untilClose])
        let count = plan.method == "HEAD" ? 0 : world.random.size(upTo: world.scenario.bodyMax)
        let isCut = isFaulty && !isUnavailable && plan.method != "HEAD" && count > 0
        let answer = world.ledger.addAnswer { number in
            AnswerPlan(
                number: number, requestID: plan.id, target: target.index,
                status: isUnavailable ? 503 : world.random.pick([200, 200, 201, 404, 500]), framing: framing,
                bodyOffset: world.random.pick(0...Bytes.count - count), bodyCount: count, isCut: isCut)
        }
        answer.hasTrailers =
            plan.method != "HEAD" && !isCut && (count > 0 || framing != .length) && world.random.chance(percent: 20)
        // Some answer while the body is still on its way. To HTTP/1 that costs the connection.
        let isEarly = plan.framing != .none && (plan.isMultiplexed || !world.scenario.isPerfect)
        if isEarly, world.random.chance(percent: 10) {
            self.answer(answer, request)
        } else {
            request.answerAtEnd = answer
        }
    }

    private func answer(_ answer: AnswerPlan, _ request: Request) {
        if world.random.chance(percent: 30) { request.steps.append(.pause(delay())) }
        if world.random.chance(percent: 10) {
            request.steps.append(.head([Field(":status", "103"), Field("link", "</a>")], ends: false))
        }
        var fields = [Field(":status", "\(answer.status)"), Field("x-answer", "\(answer.number)")]
        if answer.framing == .length { fields.append(Field("content-length", "\(answer.bodyCount)")) }
        let isBare = request.plan?.method == "HEAD" || answer.bodyCount == 0 && !answer.hasTrailers
        let endsWithHead = isBare && (request.plan?.method == "HEAD" || world.random.chance(percent: 70))
        request.steps.append(.head(fields, ends: endsWithHead))
        if !endsWithHead { addBody(answer, request) }
        request.steps.append(
            .call { [self] in
                // The rest of the request is not wanted any more. RFC 9113 §8.1
                if !request.peerHasEnded, !answer.isCut, world.random.chance(percent: 50) { reset(request, .none) }
                closeIfDone()
            })
        pumpOut()
    }

    private func addBody(_ answer: AnswerPlan, _ request: Request) {
        let end = answer.isCut ? world.random.pick(0...answer.bodyCount - 1) : answer.bodyCount
        var sent = 0
        while sent < end {
            let piece = min(end - sent, max(1, world.random.size(upTo: answer.bodyCount)))
            let ends = sent + piece == answer.bodyCount && !answer.hasTrailers
            request.steps.append(.data(Bytes.body(at: answer.bodyOffset + sent, piece), ends: ends))
            sent += piece
            if sent < end, world.random.chance(percent: 20) { request.steps.append(.pause(delay())) }
        }
        if answer.isCut { return cut(answer, request) }
        if answer.hasTrailers {
            request.steps.append(.head([Field("x-sum", "s-\(answer.number)")], ends: true))
        } else if answer.bodyCount == 0 {
            request.steps.append(.data([], ends: true))
        }
    }

    /// The answer stops in the middle.
    private func cut(_ answer: AnswerPlan, _ request: Request) {
        let way = world.random.pick(0...4)
        trace("cuts the answer \(answer.number) in way \(way)")
        if way == 0 { return }  // Silent for ever.
        request.steps.append(.pause(delay()))
        if way == 1, answer.framing == .length { return request.steps.append(.data([], ends: true)) }
        request.steps.append(
            .call { [self] in
                switch way {
                case 1, 2, 3: reset(request, world.random.pick([.internalError, .cancel, .none, .refused]))
                default: close()
                }
            })
    }

    private func close() {
        world.random.chance(percent: 50) ? socket.reset() : socket.close()
        end()
    }

    /// No answer at all, or one that is none.
    private func misbehave(_ plan: RequestPlan, _ request: Request) {
        let way = world.random.pick(0...13)
        trace("misbehaves in way \(way) to \(plan.id)")
        let id = request.id
        switch way {
        case 0, 1: close()
        case 2: return  // Never answers.
        case 3: reset(request, world.random.pick([.internalError, .protocolError, .cancel, .calm]))
        case 4: request.steps.append(.head([Field("x-answer", "nobody")], ends: true))
        case 5: request.steps.append(.head([Field(":status", "101")], ends: false))
        case 6: request.steps.append(.head([Field(":status", "200"), Field("X-Upper", "1")], ends: true))
        case 7: request.steps.append(.data([1, 2, 3], ends: true))
        case 8: goAway(lastStream, .internalError)
        case 9:
            request.steps.append(
                .head([Field(":status", "200"), Field("connection", "close"), Field("x-y", "z")], ends: false))
        case 10: sendRaw(Frame.write(.headers, flags: 4, stream: id + 1000, [0x88]))
        case 11:
            // An overflow, unless the window is used up.
            request.credit += 0x7FFF_FFFF
            sendRaw(Frame.write(.windowUpdate, stream: id, Frame.bytes(0x7FFF_FFFF)))
        case 12: sendRaw(Frame.write(.pushPromise, flags: 4, stream: id, Frame.bytes(2) + [0x82]))
        default: sendRaw((0..<40).map { _ in UInt8(world.random.pick(0...255)) })
        }
    }
}
