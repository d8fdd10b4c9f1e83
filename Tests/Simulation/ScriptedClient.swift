import PoiseModel
import PoisePlatform
import PoiseSimulation

/// A client of a simulation: sends its requests over as many connections as that takes, and checks each answer.
final class ScriptedClient {
    let ip: IPAddress
    private unowned let world: World
    private var remaining: Int
    private(set) var isDone = false

    init(index: Int, world: World) {
        self.world = world
        ip = IPAddress(v4: 0x0A01_0000 + UInt32(index))
        remaining = world.scenario.requestsPerClient
    }

    func start() {
        world.network.after(world.pause()) { [self] in connect() }
    }

    /// How many requests the next batch on a connection has.
    func takeBatch(max: Int) -> Int {
        let count = min(remaining, world.random.pick(1...max))
        remaining -= count
        return count
    }

    var hasMore: Bool { remaining > 0 }

    /// A request that was not begun with is asked anew.
    func putBack() { remaining += 1 }

    func connectionEnded() {
        guard remaining > 0 else {
            isDone = true
            return
        }
        world.network.after(world.pause()) { [self] in connect() }
    }

    private func connect() {
        let goesAside = world.hasSide && world.random.chance(percent: 40)
        do throws(SystemError) {
            let address = goesAside ? Setup.sideAddress : Setup.frontAddress
            let socket = try world.network.connect(to: address, from: ip)
            if world.random.chance(percent: world.scenario.multiplexingClients) {
                HTTP2ClientEnd(socket, client: self, world: world, isAside: goesAside).begin()
            } else {
                ClientStream(socket, client: self, world: world, isAside: goesAside).begin()
            }
        } catch {
            guard goesAside else { return world.fail("the listener refused a connection") }
            // A worker has not heard of it yet, or it is gone again.
            connectionEnded()
        }
    }
}

/// One HTTP/1 connection of a client.
private final class ClientStream {
    enum Manner {
        case polite
        case slowReader
        case deadReader
        case aborts
        case garbage
        case stopsHalfway
        case finishesHalfway
    }

    private let socket: SimulatedSocket
    private let client: ScriptedClient
    private unowned let world: World
    private let stream: ScriptedStream
    private let manner: Manner
    private var reader = MessageReader(readsAnswers: true)
    private var waiting: [RequestPlan] = []
    /// Of the answer that is being read.
    private var answer: AnswerPlan?
    private var hasHead = false
    private var isChunked = false
    private var received = 0
    private var bodyText: [UInt8] = []
    /// An error of Poise's own, where nothing has failed.
    private var isUncalledFor = false
    /// It closes its side behind its last request. Whoever does that while it waits in a queue may have given up.
    private var hasSaidAll = false
    /// An error of Poise's own that may be for that.
    private var isForClosing = false
    /// The answer before was an error of Poise's own to a request with a body. How much is left of that body Poise may
    /// find out later, and close instead of reading it all.
    private var followsOwnAnswer = false
    private var willClose = false
    private var isLastBatch = false
    private var awaitsContinue: RequestPlan?
    private var hasEnded = false
    private var lastProgress: MonotonicTime
    private var isReadPaused = false
    /// Asked for.
    private var prepared: TunnelEnd?
    /// In place.
    private var tunnel: TunnelEnd?
    /// Bytes went behind a request to switch that was then answered otherwise.
    private var hasSentEarly = false
    /// As Poise must tell it.
    private var address: String
    private let number: Int
    /// Nothing may come of this connection.
    private var isRefused = false
    /// Of the second listener, and how often that had been taken away before.
    private let isAside: Bool
    private let sideRemovals: Int

    init(_ socket: SimulatedSocket, client: ScriptedClient, world: World, isAside: Bool) {
        (self.socket, self.client, self.world) = (socket, client, world)
        (self.isAside, sideRemovals) = (isAside, world.sideRemovals)
        address = client.ip.dotted
        number = world.ledger.addConnection()
        stream = ScriptedStream(socket, world.network)
        lastProgress = world.patientTime
        manner =
            world.random.chance(percent: world.scenario.rudeClients)
            ? world.random.pick([.slowReader, .deadReader, .aborts, .garbage, .stopsHalfway, .finishesHalfway])
            : .polite
    }

    func begin() {
        world.trace("client \(client.ip) connects as \(manner), socket \(socket.number)")
        socket.onChange = { [self] in changed() }
        if world.scenario.usesProxyProtocol { sendPreamble() }
        sendBatch()
        if manner == .aborts { world.network.after(world.pause()) { [self] in abort() } }
        watch()
    }

    /// The listener is gone since.
    private var isRetired: Bool { isAside && world.sideRemovals > sideRemovals }

    // MARK: Sending

    private func sendPreamble() {
        var (bytes, told) = Preamble.random(&world.random)
        if manner == .garbage, world.random.chance(percent: 50) {
            (bytes, isRefused) = (Array("PROXY TCP4 nobody knows 1 2\r\n".utf8), true)
        }
        if let told { address = told }
        let cut = world.random.pick(0...bytes.count)
        stream.add(.send(bytes[..<cut]))
        stream.add(.pause(world.pause()))
        stream.add(.send(bytes[cut...]))
    }

    private func sendBatch() {
        let isOld = world.random.chance(percent: 15)
        // What follows half a request would be read as its other half.
        let isHalf = manner == .stopsHalfway || manner == .finishesHalfway
        let count = client.takeBatch(max: isOld || isHalf ? 1 : 4)
        if count == 1, !isOld, manner == .polite, world.random.chance(percent: world.scenario.upgrades) {
            return sendUpgrade()
        }
        for index in 0..<count {
            let isLast = index == count - 1
            let plan = world.makeRequest(isHTTP10: isOld, mayExpect: count == 1 && manner == .polite)
            plan.clientAddress = address
            plan.connection = number
            plan.hasTrailers = plan.framing == .chunked && world.random.chance(percent: 70)
            waiting.append(plan)
            add(plan, closes: isLast && world.random.chance(percent: 15))
        }
        if manner == .garbage {
            stream.send(world.random.pick(["GARBAGE\r\n\r\n", "\0\0\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"]))
        }
        if manner == .finishesHalfway {
            stream.add(.finish)
            hasSaidAll = true
            isLastBatch = true
        } else if awaitsContinue == nil, manner == .polite, world.random.chance(percent: 15) {
            // Half-closed behind a complete request: it is still answered, unless it has to wait for a target.
            stream.add(.finish)
            hasSaidAll = true
            isLastBatch = true
        }
        stream.pump()
    }

    private func sendUpgrade() {
        let plan = world.makeUpgrade()
        plan.clientAddress = address
        plan.connection = number
        waiting.append(plan)
        world.trace("client \(client.ip) asks \(plan.id) for a tunnel")
        stream.send(
            "GET /r/\(plan.id) HTTP/1.1\r\nHost: shop.test\r\nX-Mark: mark-\(plan.id)\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        let tunnel = TunnelEnd(
            "client \(client.ip)", stream, send: plan.tunnel!.up, expect: plan.tunnel!.down, world: world)
        prepared = tunnel
        if plan.tunnel!.isEager {
            hasSentEarly = true
            tunnel.sendEarly()
        }
        stream.pump()
    }

    private func add(_ plan: RequestPlan, closes: Bool) {
        world.trace("client \(client.ip) asks \(plan.method) \(plan.id), \(plan.framing) \(plan.bodyCount)")
        var head = "\(plan.method) /r/\(plan.id) HTTP/1.\(plan.isHTTP10 ? 0 : 1)\r\nHost: shop.test\r\n"
        head += "X-Mark: mark-\(plan.id)\r\n"
        if world.random.chance(percent: 10) {
            head += "X-Long: \(String(repeating: "y", count: world.random.size(upTo: 6000)))\r\n"
        }
        switch plan.framing {
        case .none: break
        case .length: head += "Content-Length: \(plan.bodyCount)\r\n"
        case .chunked: head += "Transfer-Encoding: chunked\r\n"
        }
        if plan.expectsContinue { head += "Expect: 100-continue\r\n" }
        if closes { head += "Connection: close\r\n" } else if plan.isHTTP10 { head += "Connection: keep-alive\r\n" }
        let bytes = Array((head + "\r\n").utf8)
        if manner == .stopsHalfway || manner == .finishesHalfway, world.random.chance(percent: 50) {
            return stream.add(.send(bytes[0..<world.random.pick(0...bytes.count - 1)]))
        }
        // A pause inside of a head, now and then.
        let cut = world.random.chance(percent: 20) ? world.random.pick(0...bytes.count) : bytes.count
        stream.add(.send(bytes[..<cut]))
        if cut < bytes.count {
            stream.add(.pause(world.pause()))
            stream.add(.send(bytes[cut...]))
        }
        guard plan.expectsContinue else { return addBody(plan) }
        awaitsContinue = plan
        world.network.after(world.pause() + .seconds(1)) { [self] in continueBody(plan) }
    }

    private func continueBody(_ plan: RequestPlan) {
        guard awaitsContinue === plan, !hasEnded, !willClose else { return }
        awaitsContinue = nil
        addBody(plan)
        stream.pump()
    }

    private func addBody(_ plan: RequestPlan) {
        guard plan.framing != .none else { return }
        var sent = 0
        let stopsAt = manner == .stopsHalfway || manner == .finishesHalfway ? plan.bodyCount / 2 : plan.bodyCount
        while sent < stopsAt {
            let piece = min(stopsAt - sent, max(1, world.random.size(upTo: plan.bodyCount)))
            if plan.framing == .chunked { stream.send(String(piece, radix: 16) + ";x=y\r\n") }
            stream.add(.send(Bytes.body(at: plan.bodyOffset + sent, piece)))
            if plan.framing == .chunked { stream.send("\r\n") }
            sent += piece
            if world.random.chance(percent: 15) { stream.add(.pause(world.pause())) }
        }
        if plan.framing == .chunked, sent == plan.bodyCount {
            stream.send("0\r\n\(plan.hasTrailers ? "X-Trailer: t-\(plan.id)\r\n" : "")\r\n")
        }
    }

    // MARK: Reading

    private func changed() {
        stream.pump()
        read()
    }

    private func read() {
        guard manner != .deadReader, !isReadPaused else { return }
        while !hasEnded {
            switch socket.read(manner == .slowReader ? 700 : 1 << 16) {
            case .bytes(let bytes):
                lastProgress = world.patientTime
                if let tunnel {
                    tunnel.arrived(bytes[...])
                    continue
                }
                reader.feed(bytes)
                readEvents()
                if manner == .slowReader {
                    isReadPaused = true
                    return world.network.after(world.pause()) { [self] in
                        isReadPaused = false
                        read()
                    }
                }
            case .blocked: return
            case .end where tunnel != nil && !stream.isBroken:
                tunnel?.ended()
                // Its own direction goes on.
                if stream.isIdle { leaveTunnel() }
                return
            // A send may have been told of the reset already; the end of the stream comes behind it then.
            case .end: return connectionEnded(isReset: stream.isBroken)
            case .failed: return connectionEnded(isReset: true)
            }
        }
    }

    private func leaveTunnel() {
        waiting = []
        finish()
    }

    private func readEvents() {
        reader.method = waiting.first?.method ?? "GET"
        while !hasEnded, let event = reader.next() {
            switch event {
            case .head(let head): headArrived(head)
            case .body(let bytes): bodyArrived(bytes)
            case .end: answerEnded()
            case .faulty(let what): return world.fail("client \(client.ip) was sent a bad answer: \(what)")
            }
            reader.method = waiting.first?.method ?? "GET"
        }
    }

    private func headArrived(_ head: MessageReader.Head) {
        if isRefused { return world.fail("client \(client.ip) is served without a PROXY protocol header") }
        if head.status == 101 {
            guard let plan = waiting.first, plan.tunnel != nil, let prepared, head.value("upgrade") == "websocket",
                let number = head.value("x-answer"), world.ledger.answer(number)?.requestID == plan.id
            else { return world.fail("client \(client.ip) was sent a 101 that it did not ask for") }
            world.trace("client \(client.ip) has a tunnel for \(plan.id)")
            tunnel = prepared
            prepared.onSent = { [unowned self] in read() }
            prepared.arrived(reader.takeRest())
            prepared.begin()
            return
        }
        if head.status < 200 {
            guard let plan = waiting.first, !plan.isHTTP10, head.status == 100 || head.status == 103 else {
                return world.fail("an interim answer \(head.start) for nobody")
            }
            if head.status == 100 { continueBody(plan) }
            return
        }
        if waiting.isEmpty, manner == .polite && !hasSentEarly || head.value("server") != "poise" {
            return world.fail("client \(client.ip) was sent an answer that nobody asked for")
        }
        (hasHead, received, bodyText) = (true, 0, [])
        isChunked = head.value("transfer-encoding") != nil
        let plan = waiting.first
        willClose =
            head.value("connection") == "close" || (plan?.isHTTP10 == true && head.value("connection") != "keep-alive")
        guard let number = head.value("x-answer") else {
            answer = nil
            return generated(head, for: plan)
        }
        guard let plan, let answer = world.ledger.answer(number), answer.requestID == plan.id else {
            return world.fail("request \(plan?.id ?? -1) was given the answer \(number) of another")
        }
        self.answer = answer
        if answer.status != head.status { world.fail("answer \(number) has become \(head.status)") }
    }

    /// An error of Poise's own is in place only where something failed.
    private func generated(_ head: MessageReader.Head, for plan: RequestPlan?) {
        guard head.value("server") == "poise", head.value("cache-control") == "no-store" else {
            return world.fail("an answer from nowhere: \(head.start)")
        }
        world.trace("client \(client.ip) is told \(head.status) for \(plan?.id ?? -1)")
        if isRetired, head.status == 503 { return isUncalledFor = false }
        isUncalledFor = !world.mayBeGenerated(head.status, isPolite: manner == .polite && !hasSentEarly, plan)
        isForClosing = isUncalledFor && head.status == 503 && hasSaidAll
    }

    private func bodyArrived(_ bytes: ArraySlice<UInt8>) {
        if let answer {
            guard received + bytes.count <= answer.bodyCount, Bytes.matches(bytes, at: answer.bodyOffset + received)
            else { return world.fail("the body of answer \(answer.number) is wrong behind byte \(received)") }
        } else {
            bodyText += bytes
        }
        received += bytes.count
    }

    private func answerEnded() {
        hasHead = false
        let plan = waiting.isEmpty ? nil : waiting.removeFirst()
        if let answer {
            let expected = plan?.method == "HEAD" ? 0 : answer.bodyCount
            if received != expected || answer.isCut {
                world.fail(
                    "answer \(answer.number) to \(answer.requestID) looks whole with \(received) of \(expected) bytes")
            }
            if isChunked, reader.trailers != (answer.hasTrailers ? [Field("x-sum", "s-\(answer.number)")] : []) {
                world.fail("answer \(answer.number) has the trailers \(reader.trailers)")
            }
            world.trace("client \(client.ip) has the answer to \(plan?.id ?? -1)")
            world.tally.answered += 1
            followsOwnAnswer = false
        } else {
            let text = String(decoding: bodyText, as: UTF8.self)
            // Of the answer to HEAD nothing tells why.
            let isCalledFor = isForClosing && (plan?.method == "HEAD" || text.contains("(client_aborted)"))
            if isUncalledFor, !isCalledFor { world.fail("request \(plan?.id ?? -1) was answered by Poise: \(text)") }
            if plan?.method != "HEAD", !text.contains("(") { world.fail("an error without a reason: \(text)") }
            followsOwnAnswer = plan?.framing != RequestPlan.Framing.none
            world.tally.generated += 1
        }
        answer = nil
        if willClose || awaitsContinue != nil {
            // An answer before the body: the rest of the request is not sent.
            (willClose, awaitsContinue) = (true, nil)
            stream.clear()
            return
        }
        if waiting.isEmpty, manner != .aborts {
            world.network.after(world.pause()) { [self] in goOn() }
        }
    }

    /// All answers are here, and the connection is kept.
    private func goOn() {
        guard !hasEnded, waiting.isEmpty, !willClose else { return }
        let mayGoOn = manner == .polite && !hasSentEarly || manner == .slowReader
        guard mayGoOn, client.hasMore, !isLastBatch, stream.isIdle, world.random.chance(percent: 80) else {
            return finish()
        }
        sendBatch()
    }

    // MARK: The end

    private func abort() {
        guard !hasEnded else { return }
        world.trace("client \(client.ip) aborts")
        world.random.chance(percent: 50) ? socket.reset() : socket.close()
        leave()
    }

    private func finish() {
        socket.close()
        leave()
    }

    private func leave() {
        guard !hasEnded else { return }
        hasEnded = true
        world.tally.cut += waiting.count
        client.connectionEnded()
    }

    /// Poise has closed.
    private func connectionEnded(isReset: Bool) {
        if tunnel != nil {
            if world.scenario.isPerfect { world.fail("a tunnel of \(client.ip) was cut") }
            return leaveTunnel()
        }
        if !isReset, hasHead, reader.endsWithConnection { answerEnded() }
        if let plan = waiting.first {
            world.trace("client \(client.ip) lost \(plan.id), \(isReset ? "reset" : "closed")")
            // A request may be on its way to a connection that is closed because nothing happens on it.
            let mayBeLost = willClose || followsOwnAnswer || isRetired && !hasHead || tunnel != nil
            if !mayBeLost, !world.mayBeCut(hasHead: hasHead, isReset: isReset) {
                world.fail("request \(plan.id) was not answered: the connection was \(isReset ? "reset" : "closed")")
            }
        }
        finish()
    }

    /// Nobody waits for ever: whoever hears nothing for this long has found an exchange that is stuck.
    private func watch() {
        world.network.after(.seconds(100)) { [self] in
            guard !hasEnded else { return }
            guard world.patientTime >= lastProgress + .seconds(400) else { return watch() }
            if manner == .polite {
                world.fail("client \(client.ip) waits for request \(waiting.first?.id ?? -1) for ever")
            }
            // Who neither reads nor writes is Poise's to get rid of: it leaves no connection open at the end.
            if world.scenario.clientLimits.bodyRateMin > 0 { leave() } else { finish() }
        }
    }
}
