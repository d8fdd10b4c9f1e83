import PoiseModel
import PoiseSimulation

/// One end of an HTTP/2 connection of a simulation, a client's or a target's: reads and writes frames in a way of its own,
/// and holds Poise to what RFC 9113 lets it send. It shares no code with Poise's machine.
///
/// What it checks of whatever comes:
///
/// 1. SETTINGS come first; frames are as long as was announced; a header block is not interrupted, and HPACK's tables agree.
/// 2. DATA within the window of its stream and of the connection, also where SETTINGS made it negative. §6.9.2
/// 3. One final head per stream, 1xx only before it, trailers only with the end, content as long as Content-Length says.
/// 4. Nothing on a stream that has not begun, that Poise ended or reset, or whose reset it has heard of. §5.1
/// 5. Streams of Poise's have odd numbers that rise, and are never more than was allowed. §5.1.1, §5.1.2
/// 6. Nothing behind a GOAWAY that tells of an error.
class HTTP2End<Lane: ScriptedLane> {
    let socket: SimulatedSocket
    let stream: ScriptedStream
    unowned let world: World
    let name: String
    let isClient: Bool
    var lanes: [Int: Lane] = [:]
    /// In the order in which they were begun; those of requests that were not written yet too.
    var active: [Lane] = []
    private(set) var hasLeft = false

    var frames = FrameReader()
    var fieldReader = FieldReader()
    private var fieldWriter = FieldWriter()
    var awaitsPreface: Bool
    var sawSettings = false
    /// A header block whose end has not come.
    var block: (stream: Int, flags: UInt8, bytes: [UInt8])?

    // What Poise allows.
    var sendWindow = 65_535
    var peerWindow = 65_535
    var peerFrameMax = 16_384
    var peerStreamsMax = Int.max
    /// The last stream that Poise says it processes; `nil` before a GOAWAY.
    var peerGoAway: Int?
    var sawError = false

    // What Poise is allowed, as it has acknowledged it, and what it was told since.
    var credit = 0
    var window = 65_535
    private(set) var streamsMax = Int.max
    private var untold: [[(Frame.Setting, Int)]] = []
    /// The window that the last SETTINGS told.
    var toldWindow = 65_535
    var lastStream = 0
    /// Streams above are not listened to, since our GOAWAY said so.
    var lastProcessed = Int.max
    /// Poise has heard of our GOAWAY.
    private(set) var goAwayIsKnown = false

    // Manners.
    private let windowAim: Int
    private let connectionAim: Int
    private let isPrompt: Bool
    /// False: windows are never opened again.
    var grants = true
    private var grantIsDue = false
    private var isPumping = false
    /// It has sent what no rule covers: what comes on streams that it never began is not its affair.
    var isLenient = false
    var pings: [Int: () -> Void] = [:]
    private var pingsSent = 0

    init(_ socket: SimulatedSocket, _ name: String, isClient: Bool, world: World) {
        (self.socket, self.name, self.isClient, self.world) = (socket, name, isClient, world)
        stream = ScriptedStream(socket, world.network)
        awaitsPreface = !isClient
        let most = max(world.scenario.bodyMax, 65_535)
        let least = max(1, world.scenario.bodyMax / 60)
        windowAim = world.random.pick([least, least + world.random.size(upTo: most), 65_535, 1 << 20])
        connectionAim = world.random.pick([least, least + world.random.size(upTo: most), 65_535, 1 << 20])
        isPrompt = world.random.chance(percent: 60)
        stream.onIdle = { [unowned self] in pumpOut() }
    }

    // MARK: What clients and targets do with it

    func headArrived(_ fields: [Field], on lane: Lane, ends: Bool) {}
    /// On a stream that was left out, or reset meanwhile.
    func headCameTooLate(_ fields: [Field]) {}
    func dataArrived(_ bytes: ArraySlice<UInt8>, on lane: Lane) {}
    func trailersArrived(_ fields: [Field], on lane: Lane) {}
    func messageEnded(on lane: Lane) {}
    func resetArrived(_ code: Int, on lane: Lane) {}
    func goAwayArrived(_ last: Int, _ code: Int) {}
    func settingsArrived() {}
    /// - Returns: the lane for a stream that Poise opens.
    func open(_ id: Int) -> Lane? { nil }
    func connectionEnded(isReset: Bool) {}

    func fail(_ text: String) { world.fail("\(name): \(text)") }
    func trace(_ text: @autoclosure () -> String) { world.trace("\(name): \(text())") }

    // MARK: Beginning and ending

    func beginHTTP2() {
        if isClient { stream.add(.send(Frame.preface[...])) }
        sendSettings(isFirst: true)
        if windowAim > 65_535 || world.random.chance(percent: 30) { grantLater() }
        for _ in 0..<world.random.pick([0, 0, 1, 3]) {
            world.network.after(world.pause() + world.pause()) { [self] in
                if !hasLeft { sendSettings(isFirst: false) }
            }
        }
        for _ in 0..<world.random.pick([0, 0, 2]) {
            world.network.after(world.pause()) { [self] in if !hasLeft { sendNoise() } }
        }
        stream.pump()
    }

    /// Nothing more is heard or said.
    func leave() { hasLeft = true }

    func add(_ lane: Lane) { active.append(lane) }

    /// Of those whose streams count.
    var openCount: Int { active.count(where: \.isOpen) }

    func forgetClosed() { active.removeAll { $0.id > 0 && !$0.isOpen && $0.steps.isEmpty } }

    // MARK: Settings and windows

    private func sendSettings(isFirst: Bool) {
        var entries: [(Frame.Setting, Int)] = []
        let told: [Frame.Setting] =
            isClient ? [.tableSize, .initialWindow, .frameMax] : [.tableSize, .streamsMax, .initialWindow, .frameMax]
        for setting in told where world.random.chance(percent: isFirst ? 60 : 50) {
            switch setting {
            case .tableSize: entries.append((setting, world.random.pick([0, 64, 4096, 100_000])))
            case .streamsMax: entries.append((setting, world.random.pick([1, 2, 5, 100])))
            case .initialWindow:
                let window =
                    isFirst ? windowAim : world.random.pick([0, 1, windowAim, world.random.size(upTo: 65_535)])
                entries.append((setting, window))
            default: entries.append((setting, world.random.pick([16_384, 17_000, 1 << 20])))
            }
        }
        if isClient, isFirst, world.random.chance(percent: 50) { entries.append((.push, 0)) }
        entries.shuffle(using: &world.random)
        for (setting, value) in entries where setting == .initialWindow { toldWindow = value }
        trace("tells \(entries.map { "\($0.0) \($0.1)" }.joined(separator: ", "))")
        untold.append(entries)
        stream.add(.send(Frame.settings(entries)[...]))
        stream.pump()
        if !isFirst { grantLater() }
    }

    func settingsWereAcknowledged() {
        guard !untold.isEmpty else { return fail("SETTINGS are acknowledged that were never sent") }
        for (setting, value) in untold.removeFirst() {
            switch setting {
            case .tableSize: fieldReader.setLimit(value)
            case .streamsMax: streamsMax = value
            case .initialWindow: window = value
            case .frameMax: frames.lengthMax = value
            case .push, .listMax: break
            }
        }
    }

    func grantLater() {
        guard grants, !grantIsDue, !hasLeft else { return }
        grantIsDue = true
        world.network.after(isPrompt ? .zero : world.pause()) { [self] in
            grantIsDue = false
            if !hasLeft { grant() }
        }
    }

    /// Opens windows that are used up: not always wide, but no open stream stays without any.
    private func grant() {
        for lane in active where lane.isOpen && !lane.peerHasEnded {
            let more = step(from: toldWindow + lane.credit, to: windowAim)
            if more > 0 {
                lane.credit += more
                stream.add(.send(Frame.write(.windowUpdate, stream: lane.id, Frame.bytes(more))[...]))
            }
        }
        let more = step(from: 65_535 + credit, to: connectionAim)
        if more > 0 {
            credit += more
            stream.add(.send(Frame.write(.windowUpdate, Frame.bytes(more))[...]))
        }
        stream.pump()
    }

    private func step(from window: Int, to aim: Int) -> Int {
        guard window < aim, window <= 0 || isPrompt || world.random.chance(percent: 70) else { return 0 }
        let most = aim - window
        return min(most, max(1 - window, world.random.pick([most, most, world.random.size(upTo: most)])))
    }

    // MARK: Writing

    /// Writes what there is to write, a frame of some stream at a time, as the socket takes it.
    func pumpOut() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while !hasLeft, stream.isIdle, !stream.isBroken {
            let ready = active.filter(canSend)
            guard !ready.isEmpty else { return }
            sendNext(of: world.random.pick(ready))
            if world.random.chance(percent: 4) { stream.add(.pause(world.pause())) }
            stream.pump()
        }
    }

    /// Whether a stream of our own may begin.
    func mayOpen() -> Bool { peerGoAway == nil && openCount < min(peerStreamsMax, 100) }

    private func canSend(on lane: Lane) -> Bool {
        guard let step = lane.steps.first, !lane.isPaused else { return false }
        switch step {
        case .head: return !lane.isSilent && (lane.id > 0 || mayOpen())
        case .data(let bytes, _): return !lane.isSilent && (bytes.isEmpty || room(on: lane) > 0)
        case .pause, .call: return true
        }
    }

    private func room(on lane: Lane) -> Int { min(sendWindow, peerWindow + lane.sendCredit) }

    private func sendNext(of lane: Lane) {
        switch lane.steps.removeFirst() {
        case .head(let fields, let ends):
            if lane.id == 0 {
                // Numbers may be left out. RFC 9113 §5.1.1
                lastStream += lastStream == 0 ? 1 : world.random.chance(percent: 10) ? 4 : 2
                lane.id = lastStream
                lanes[lane.id] = lane
                trace("opens stream \(lane.id)")
            }
            send(fields, on: lane, ends: ends)
            if ends { sideEnded(lane) }
        case .data(let bytes, let ends): sendData(bytes, on: lane, ends: ends)
        case .pause(let span):
            lane.isPaused = true
            world.network.after(span) { [weak self] in
                lane.isPaused = false
                self?.pumpOut()
            }
        case .call(let body): body()
        }
    }

    private func sideEnded(_ lane: Lane) {
        lane.hasEnded = true
        forgetClosed()
    }

    /// A block in one frame or in several, with padding and a priority that mean nothing.
    private func send(_ fields: [Field], on lane: Lane, ends: Bool) {
        let block = fieldWriter.write(fields, &world.random)
        var cuts = [0, block.count]
        if world.random.chance(percent: 10) || block.count > 16_000 {
            for _ in 0..<world.random.pick(1...2) { cuts.append(world.random.pick(0...block.count)) }
            // Frames as long as any peer takes.
            cuts += stride(from: 0, to: block.count, by: 8_000)
            cuts.sort()
        }
        var bytes: [UInt8] = []
        for piece in 0..<cuts.count - 1 {
            let content = Array(block[cuts[piece]..<cuts[piece + 1]])
            var flags: UInt8 = piece == cuts.count - 2 ? Frame.endHeaders : 0
            guard piece == 0 else {
                bytes += Frame.write(.continuation, flags: flags, stream: lane.id, content)
                continue
            }
            if ends { flags |= Frame.endStream }
            let padding = world.random.chance(percent: 10) ? world.random.pick(0...255) : nil
            var payload: [UInt8] = []
            if let padding {
                flags |= Frame.padded
                payload.append(UInt8(padding))
            }
            if world.random.chance(percent: 10) {
                flags |= Frame.hasPriority
                payload += [0, 0, 0, 0, 7]
            }
            payload += content + [UInt8](repeating: 0, count: padding ?? 0)
            bytes += Frame.write(.headers, flags: flags, stream: lane.id, payload)
        }
        stream.add(.send(bytes[...]))
    }

    private func sendData(_ bytes: ArraySlice<UInt8>, on lane: Lane, ends: Bool) {
        let room = min(room(on: lane), peerFrameMax)
        var count = min(bytes.count, max(0, room))
        if count > 1, world.random.chance(percent: 50) { count = max(1, world.random.size(upTo: count)) }
        let isAll = count == bytes.count
        // The end may come with the last bytes, or behind them.
        let endsHere = isAll && ends && (count == 0 || world.random.chance(percent: 70))
        if !isAll || ends && !endsHere {
            lane.steps.insert(.data(bytes.dropFirst(count), ends: ends), at: 0)
        }
        var flags: UInt8 = endsHere ? Frame.endStream : 0
        var (payload, padding) = ([UInt8](), 0)
        if world.random.chance(percent: 8), count + 1 <= room {
            padding = min(world.random.pick([0, 3, 255]), room - count - 1)
            flags |= Frame.padded
            payload.append(UInt8(padding))
        }
        guard count > 0 || endsHere || !payload.isEmpty else { return }
        let length = payload.count + count + padding
        lane.sendCredit -= length
        sendWindow -= length
        stream.add(.send((Frame.header(.data, flags: flags, stream: lane.id, count: length) + payload)[...]))
        stream.add(.send(bytes.prefix(count)))
        if padding > 0 { stream.add(.send([UInt8](repeating: 0, count: padding)[...])) }
        if endsHere { sideEnded(lane) }
    }

    /// Where each stream stands, for the trace.
    var state: String {
        active.map { lane in
            "stream \(lane.id): \(lane.steps.count) steps\(lane.isPaused ? ", paused" : ""), room \(room(on: lane)), sent \(lane.hasEnded), window \(window + lane.credit), got \(lane.contentBytes) \(lane.peerHasEnded)"
        }.joined(separator: "; ")
            + "; socket \(socket.number), connection's room \(sendWindow), window \(65_535 + credit), idle \(stream.isIdle)"
    }

    /// Frames that mean nothing: of a type that nobody knows, and priorities of streams, begun or not.
    private func sendNoise() {
        let unknown = Frame.header(.data, flags: 0xFF, stream: world.random.pick(0...9), count: 5)
        stream.add(.send((unknown[..<3] + [0x77] + unknown[4...] + [1, 2, 3, 4, 5])[...]))
        stream.add(.send(Frame.write(.priority, stream: world.random.pick(1...99), [0, 0, 0, 0, 7])[...]))
        ping {}
        stream.pump()
    }

    /// Ends a stream at once.
    func reset(_ lane: Lane, _ code: Frame.Code) {
        guard lane.id > 0, lane.isOpen else { return }
        trace("resets stream \(lane.id) with \(code)")
        lane.hasReset = true
        lane.steps = []
        stream.add(.send(Frame.write(.reset, stream: lane.id, Frame.bytes(code.rawValue))[...]))
        ping { lane.resetIsKnown = true }
        forgetClosed()
        stream.pump()
    }

    /// Says that the connection ends, with `last` as the last stream that is looked at.
    func goAway(_ last: Int, _ code: Frame.Code = .none) {
        trace("goes away, last stream \(last), \(code)")
        lastProcessed = last
        stream.add(.send(Frame.write(.goAway, Frame.bytes(last) + Frame.bytes(code.rawValue))[...]))
        ping { [weak self] in self?.goAwayIsKnown = true }
        stream.pump()
    }

    /// - Parameter acknowledged: Poise has read all that was sent before, and no frame from before that is on its way.
    func ping(_ acknowledged: @escaping () -> Void) {
        pingsSent += 1
        pings[pingsSent] = acknowledged
        stream.add(.send(Frame.write(.ping, Frame.bytes(0) + Frame.bytes(pingsSent))[...]))
    }

    func sendRaw(_ bytes: [UInt8]) {
        isLenient = true
        stream.add(.send(bytes[...]))
        stream.pump()
    }
}
