import PoiseModel
import PoisePlatform
import PoiseSimulation

/// A target of a simulation: answers, in all the ways that targets do, and notes what it saw.
final class ScriptedTarget {
    let index: Int
    let address: SocketAddress
    private unowned let world: World
    private var listener: SimulatedListener?
    private var connections: [any TargetEnd] = []

    var isAlive: Bool { listener != nil }
    /// In ``World/patientTime``; `nil` while it lives.
    private(set) var deadSince: MonotonicTime? = .zero

    init(index: Int, world: World) {
        (self.index, self.world) = (index, world)
        address = .ip(Setup.address(ofTarget: index), port: 8080)
    }

    func start() {
        guard listener == nil else { return }
        deadSince = nil
        listener = world.network.listen(on: address) { [unowned self] socket in
            guard isAlive else { return socket.reset() }
            let end = FirstBytes(socket, target: self)
            connections.append(end)
            end.begin()
        }
    }

    /// A connection has shown which version it speaks.
    fileprivate func recognized(_ end: FirstBytes, _ bytes: [UInt8], behind header: Introduction?) {
        forget(end)
        let mayBegin = world.scenario.introduction.version != .off
        guard header == nil ? !mayBegin || world.scenario.configurationChanges : mayBegin else {
            return world.fail("target \(index): a header that was never configured, or none")
        }
        let isMultiplexed = bytes.starts(with: Frame.preface.prefix(4))
        guard isMultiplexed ? world.scenario.usesHTTP2Targets : world.scenario.usesHTTP1Targets else {
            return world.fail("target \(index) is spoken to in a version that it was never configured with")
        }
        if isMultiplexed {
            let stream = HTTP2TargetEnd(end.socket, target: self, world: world)
            connections.append(stream)
            stream.begin(bytes)
        } else {
            let stream = TargetStream(end.socket, target: self, world: world, behind: header)
            connections.append(stream)
            stream.begin(bytes)
        }
    }

    fileprivate func cannotRead(_ bytes: [UInt8]) { world.fail("target \(index) cannot read the header \(bytes)") }

    /// The process is killed: the kernel closes everything that it had open.
    func die() {
        guard let listener else { return }
        self.listener = nil
        deadSince = world.patientTime
        world.network.close(listener)
        for connection in connections { connection.kill() }
        connections = []
    }

    /// What is still open, for the trace.
    func traceState() { for end in connections { world.trace("target \(index) has \(end.state)") } }

    func forget(_ end: any TargetEnd) { connections.removeAll { $0 === end } }

    /// A request's head has come, by either version.
    ///
    /// - Returns: `nil` when it is none that a client meant.
    func note(_ method: String, _ path: String, _ value: (String) -> String?) -> RequestPlan? {
        guard path.hasPrefix("/r/"), let plan = world.ledger.request(path.dropFirst(3)) else {
            world.fail("target \(index) was sent \(method) \(path)")
            return nil
        }
        world.trace("target \(index) has request \(plan.id)")
        plan.seen += 1
        if plan.isDisowned { world.fail("request \(plan.id) was sent on although its client was told otherwise") }
        if plan.seen > 1, !plan.isIdempotent { world.fail("\(plan.method) \(plan.id) was sent to targets twice") }
        if method != plan.method { world.fail("request \(plan.id) has become \(method)") }
        if value("x-mark") != "mark-\(plan.id)" { world.fail("request \(plan.id) lost its field") }
        if value("via") == nil || value("x-forwarded-for") != plan.clientAddress {
            world.fail("request \(plan.id) comes from \(value("x-forwarded-for") ?? ""), not \(plan.clientAddress)")
        }
        return plan
    }
}

/// A connection of a target, in the version of HTTP that its peer speaks.
protocol TargetEnd: AnyObject {
    /// The process is killed, and the kernel closes it.
    func kill()
    /// For the trace.
    var state: String { get }
}

/// The PROXY header of a connection, and who has used it since.
struct Introduction {
    /// `nil`: the header names nobody.
    let client: String?
    var connection: Int?

    init(client: String?) { self.client = client }

    /// - Returns: what is wrong.
    mutating func speaks(for plan: RequestPlan) -> String? {
        defer { connection = plan.connection }
        if let client, client != plan.clientAddress { return "the header names \(client), not \(plan.clientAddress)" }
        return connection == nil || connection == plan.connection ? nil : "the connection was another client's"
    }
}

/// One connection that a target accepted, as long as its version is not known.
private final class FirstBytes: TargetEnd {
    let socket: SimulatedSocket
    private unowned let target: ScriptedTarget
    private var bytes: [UInt8] = []
    private var header: Introduction?

    init(_ socket: SimulatedSocket, target: ScriptedTarget) { (self.socket, self.target) = (socket, target) }

    func begin() {
        socket.onChange = { [self] in look() }
        look()
    }

    func kill() { socket.close() }

    var state: String { "socket \(socket.number), \(bytes.count) bytes" }

    private func look() {
        // As many as tell "PRI " from "POST", "PUT" and "PROXY ".
        while bytes.count < 4 || header == nil && Preamble.isBegun(by: bytes) {
            if bytes.count >= 4 {
                switch Preamble.read(bytes) {
                case .needMore: break
                case .faulty: return target.cannotRead(bytes)
                case .whole(let count, let client):
                    header = Introduction(client: client)
                    bytes.removeFirst(count)
                    continue
                }
            }
            switch socket.read() {
            case .bytes(let more): bytes += more
            case .blocked: return
            case .end, .failed:
                socket.close()
                return target.forget(self)
            }
        }
        socket.onChange = nil
        target.recognized(self, bytes, behind: header)
    }
}

/// One HTTP/1 connection that a target accepted.
final class TargetStream: TargetEnd {
    let socket: SimulatedSocket
    private unowned let target: ScriptedTarget
    private unowned let world: World
    private let stream: ScriptedStream
    private var reader = MessageReader(readsAnswers: false)
    private var request: RequestPlan?
    private var bodyCount = 0
    /// What is done once the request's body is here; `nil` when the answer is under way already.
    private var answerAtEnd: AnswerPlan?
    private var isAnswering = false
    /// The answer under way ends with the connection.
    private var endsWithClose = false
    private var tunnel: TunnelEnd?
    private var isInTurn = false
    private var header: Introduction?

    init(_ socket: SimulatedSocket, target: ScriptedTarget, world: World, behind header: Introduction?) {
        (self.socket, self.target, self.world) = (socket, target, world)
        self.header = header
        stream = ScriptedStream(socket, world.network)
    }

    /// - Parameter first: what was read of the connection already.
    func begin(_ first: [UInt8]) {
        socket.onChange = { [self] in changed() }
        reader.feed(first)
        readEvents()
        changed()
    }

    private func end() {
        socket.close()
        target.forget(self)
    }

    /// FIN, as the kernel does it; but a reset where FIN would make a whole answer out of half of one.
    var state: String { "socket \(socket.number), request \(request?.id ?? -1)" }

    func kill() { endsWithClose ? socket.reset() : socket.close() }

    private func changed() {
        stream.pump()
        while !socket.isClosed {
            switch socket.read() {
            case .bytes(let bytes):
                if let tunnel {
                    tunnel.arrived(bytes[...])
                    continue
                }
                reader.feed(bytes)
                readEvents()
            case .blocked: return endTunnel()
            case .end:
                // Poise half-closes towards a target in tunnels only: else it is gone.
                guard let tunnel else { return end() }
                if !tunnel.hasEnded {
                    tunnel.ended()
                    if isInTurn { tunnel.begin() }
                }
                return endTunnel()
            case .failed: return end()
            }
        }
    }

    /// Both directions are through.
    private func endTunnel() {
        if let tunnel, tunnel.hasEnded, stream.isIdle || stream.isBroken, !socket.isClosed { end() }
    }

    private func readEvents() {
        while !socket.isClosed, let event = reader.next() {
            switch event {
            case .head(let head): requestArrived(head)
            case .body(let bytes): bodyArrived(bytes)
            case .end: requestEnded()
            case .faulty(let what): return world.fail("target \(target.index) was sent a bad request: \(what)")
            }
        }
    }

    private func requestArrived(_ head: MessageReader.Head) {
        guard request == nil, !isAnswering else {
            return world.fail("target \(target.index) was sent a request on a connection that was not free")
        }
        guard let plan = target.note(head.start[0], head.start[1], { head.value($0) }) else { return }
        if let problem = header?.speaks(for: plan) { world.fail("request \(plan.id): \(problem)") }
        (request, bodyCount) = (plan, 0)
        let asked = head.value("upgrade")
        if asked != (plan.tunnel == nil ? nil : "websocket") {
            world.fail("request \(plan.id) asks for \(asked ?? "")")
        }
        switch plan.framing {
        case .none: if head.value("transfer-encoding") != nil { world.fail("request \(plan.id) got a body") }
        case .length:
            if head.value("content-length") != "\(plan.bodyCount)" { world.fail("request \(plan.id) lost its length") }
        case .chunked: if head.value("transfer-encoding") == nil { world.fail("request \(plan.id) lost its framing") }
        }
        if plan.expectsContinue, head.value("expect") == "100-continue", !world.random.chance(percent: 20) {
            stream.send("HTTP/1.1 100 Continue\r\n\r\n")
            stream.pump()
        }
        decide(plan)
    }

    private func bodyArrived(_ bytes: ArraySlice<UInt8>) {
        guard let request else { return }
        guard bodyCount + bytes.count <= request.bodyCount,
            Bytes.matches(bytes, at: request.bodyOffset + bodyCount)
        else { return world.fail("the body of request \(request.id) is wrong behind byte \(bodyCount)") }
        bodyCount += bytes.count
    }

    private func requestEnded() {
        guard let request else { return }
        if bodyCount != request.bodyCount {
            world.fail("request \(request.id) seemed whole with \(bodyCount) of \(request.bodyCount) bytes")
        }
        let sent = request.hasTrailers && request.framing == .chunked ? [Field("x-trailer", "t-\(request.id)")] : []
        if reader.trailers != sent { world.fail("request \(request.id) has the trailers \(reader.trailers)") }
        self.request = nil
        if let plan = answerAtEnd {
            answerAtEnd = nil
            plan.status == 101 ? switchProtocols(plan, for: request.tunnel!) : answer(plan, to: request)
        }
    }

    private func switchProtocols(_ plan: AnswerPlan, for asked: TunnelPlan) {
        isAnswering = true
        if world.random.chance(percent: 50) { stream.add(.pause(delay())) }
        stream.add(
            .call { [self] in
                // Up to here the request was all that was asked for.
                if reader.unread > 0 { world.fail("target \(target.index) was sent bytes before its 101") }
                isInTurn = asked.isInTurn
                tunnel = TunnelEnd(
                    "target \(target.index)", stream, send: asked.down, expect: asked.up, world: world)
                stream.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Answer: \(plan.number)\r\n\r\n"
                )
                if plan.isCut {
                    stream.add(.pause(delay()))
                    stream.add(world.random.chance(percent: 50) ? .reset : .close)
                }
                tunnel?.onSent = { [unowned self] in endTunnel() }
                if !asked.isInTurn { tunnel?.begin() }
            })
        stream.pump()
    }

    // MARK: Answering

    private func decide(_ request: RequestPlan) {
        let isFaulty = world.random.chance(percent: world.scenario.faultyAnswers)
        if isFaulty, world.random.chance(percent: 40) { return misbehave(request) }
        let isUnavailable = isFaulty && world.random.chance(percent: 50)
        let framing = world.random.pick([AnswerPlan.Framing.length, .length, .chunked, .untilClose])
        var isCut = isFaulty && !isUnavailable
        let count = request.method == "HEAD" ? 0 : world.random.size(upTo: world.scenario.bodyMax)
        if request.method == "HEAD" || (count == 0 && framing == .length) { isCut = false }
        if request.tunnel != nil, !isUnavailable, world.random.chance(percent: 80) {
            answerAtEnd = world.ledger.addAnswer { number in
                AnswerPlan(
                    number: number, requestID: request.id, target: target.index, status: 101, framing: .untilClose,
                    bodyOffset: 0, bodyCount: 0, isCut: isCut)
            }
            return
        }
        let plan = world.ledger.addAnswer { number in
            AnswerPlan(
                number: number, requestID: request.id, target: target.index,
                status: isUnavailable ? 503 : world.random.pick([200, 200, 201, 404, 500]), framing: framing,
                bodyOffset: world.random.pick(0...Bytes.count - count), bodyCount: count, isCut: isCut)
        }
        // Some answer while the body is still on its way.
        if request.framing != .none, world.random.chance(percent: world.scenario.isPerfect ? 0 : 10) {
            answer(plan, to: request)
        } else {
            answerAtEnd = plan
        }
    }

    /// No answer at all, or one that is none.
    private func misbehave(_ request: RequestPlan) {
        isAnswering = true
        let way = world.random.pick(0...5)
        world.trace("target \(target.index) misbehaves in way \(way) to \(request.id)")
        switch way {
        case 0: stream.add(.close)
        case 1: stream.add(.reset)
        case 2: return  // Never answers.
        case 3:
            stream.send("HTTP/1.1 200 OK\r\nX-Answ")
            stream.add(.pause(delay()))
            stream.add(world.random.chance(percent: 50) ? .close : .reset)
        case 4: stream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        default: stream.send("\u{1}\u{2} what is this\r\n\r\n")
        }
        stream.pump()
    }

    private func delay() -> Nanoseconds {
        Nanoseconds(Int64(world.random.size(upTo: 100_000_000)))
    }

    private func answer(_ plan: AnswerPlan, to request: RequestPlan) {
        isAnswering = true
        endsWithClose = plan.framing == .untilClose
        let random = world.random.pick(0...99)
        if random < 30 { stream.add(.pause(delay())) }
        if random % 10 == 0, !request.isHTTP10 { stream.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }
        let closes = plan.framing == .untilClose || world.random.chance(percent: 10)
        var head = "HTTP/1.1 \(plan.status) Fine\r\nX-Answer: \(plan.number)\r\n"
        if closes { head += "Connection: close\r\n" }
        let sendsBody = request.method != "HEAD"
        switch plan.framing {
        case .length: head += "Content-Length: \(plan.bodyCount)\r\n"
        case .chunked: head += "Transfer-Encoding: chunked\r\n"
        case .untilClose: break
        }
        stream.send(head + "\r\n")
        if sendsBody { addBody(plan) }
        if plan.isCut {
            if world.random.chance(percent: 30), plan.framing != .untilClose {
                // Silent for ever.
            } else {
                stream.add(.pause(delay()))
                stream.add(plan.framing == .untilClose || world.random.chance(percent: 50) ? .reset : .close)
            }
        } else if closes {
            stream.add(.close)
        } else {
            stream.add(.call { [self] in isAnswering = false })
            if world.scenario.targetsCloseIdle, world.random.chance(percent: 50) {
                stream.add(.pause(delay()))
                stream.add(.call { [self] in if isIdle { end() } })
            }
        }
        stream.pump()
    }

    private var isIdle: Bool { request == nil && !isAnswering }

    private func addBody(_ plan: AnswerPlan) {
        let end = plan.isCut ? world.random.pick(0...max(0, plan.bodyCount - 1)) : plan.bodyCount
        var sent = 0
        while sent < end {
            let piece = min(end - sent, max(1, world.random.size(upTo: plan.bodyCount)))
            if plan.framing == .chunked { stream.send(String(piece, radix: 16) + "\r\n") }
            stream.add(.send(Bytes.body(at: plan.bodyOffset + sent, piece)))
            if plan.framing == .chunked { stream.send("\r\n") }
            sent += piece
            if sent < end, world.random.chance(percent: 20) { stream.add(.pause(delay())) }
        }
        if plan.framing == .chunked, !plan.isCut { stream.send("0\r\n\r\n") }
    }
}
