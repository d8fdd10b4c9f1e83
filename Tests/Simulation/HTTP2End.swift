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
    private(set) var active: [Lane] = []
    private(set) var hasLeft = false

    private var frames = FrameReader()
    private var fieldReader = FieldReader()
    private var fieldWriter = FieldWriter()
    private var awaitsPreface: Bool
    private(set) var sawSettings = false
    /// A header block whose end has not come.
    private var block: (stream: Int, flags: UInt8, bytes: [UInt8])?

    // What Poise allows.
    private var sendWindow = 65_535
    private var peerWindow = 65_535
    private var peerFrameMax = 16_384
    private(set) var peerStreamsMax = Int.max
    /// The last stream that Poise says it processes; `nil` before a GOAWAY.
    private(set) var peerGoAway: Int?
    private var sawError = false

    // What Poise is allowed, as it has acknowledged it, and what it was told since.
    private var credit = 0
    private var window = 65_535
    private(set) var streamsMax = Int.max
    private var untold: [[(Frame.Setting, Int)]] = []
    /// The window that the last SETTINGS told.
    private var toldWindow = 65_535
    private(set) var lastStream = 0
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
    private var pings: [Int: () -> Void] = [:]
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

    private func forgetClosed() { active.removeAll { $0.id > 0 && !$0.isOpen && $0.steps.isEmpty } }

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

    private func settingsWereAcknowledged() {
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

    private func grantLater() {
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

    // MARK: Reading

    func feed(_ bytes: [UInt8]) {
        frames.feed(bytes)
        if awaitsPreface {
            guard let preface = frames.take(Frame.preface.count) else { return }
            guard preface == Frame.preface else { return fail("a preface that is none") }
            awaitsPreface = false
        }
        while !hasLeft, world.violation == nil, let next = frames.next() {
            switch next {
            case .faulty(let what): return fail("was sent \(what)")
            case .frame(let frame): take(frame)
            }
        }
    }

    private func take(_ frame: Frame) {
        trace("gets \(frame.kind) \(frame.flags) of \(frame.payload.count) bytes on stream \(frame.stream)")
        if sawError { return fail("\(frame.kind) behind a GOAWAY with an error") }
        if !sawSettings, frame.kind != .settings { return fail("\(frame.kind) before SETTINGS") }
        if let block, frame.kind != .continuation || frame.stream != block.stream {
            return fail("\(frame.kind) within a header block")
        }
        switch frame.kind {
        case .settings: takeSettings(frame)
        case .ping: takePing(frame)
        case .windowUpdate: takeWindowUpdate(frame)
        case .goAway: takeGoAway(frame)
        case .headers: takeHeaders(frame)
        case .continuation: takeContinuation(frame)
        case .data: takeData(frame)
        case .reset: takeReset(frame)
        case .priority, .pushPromise: fail("\(frame.kind) is nothing that Poise sends")
        }
    }

    private func takeSettings(_ frame: Frame) {
        guard frame.stream == 0 else { return fail("SETTINGS of a stream") }
        if frame.flags & Frame.acknowledgement != 0 { return settingsWereAcknowledged() }
        sawSettings = true
        var offset = 0
        while offset + 6 <= frame.payload.count {
            let value = frame.word(offset + 2)
            switch Frame.Setting(rawValue: frame.word(offset) >> 16) {
            case .push where value > 0 || isClient: return fail("SETTINGS_ENABLE_PUSH \(value)")
            case .streamsMax: peerStreamsMax = value
            case .initialWindow: peerWindow = value
            case .frameMax: peerFrameMax = value
            default: break
            }
            offset += 6
        }
        stream.add(.send(Frame.write(.settings, flags: Frame.acknowledgement, [])[...]))
        stream.pump()
        settingsArrived()
    }

    private func takePing(_ frame: Frame) {
        guard frame.payload.count == 8, frame.stream == 0 else { return fail("a PING of \(frame.payload.count) bytes") }
        if frame.flags & Frame.acknowledgement != 0 {
            guard let body = pings.removeValue(forKey: frame.word(4)) else { return fail("an answer to no PING") }
            return body()
        }
        stream.add(.send(Frame.write(.ping, flags: Frame.acknowledgement, Array(frame.payload))[...]))
        stream.pump()
    }

    private func takeWindowUpdate(_ frame: Frame) {
        guard frame.payload.count == 4, frame.word(0) > 0 else { return fail("a WINDOW_UPDATE of nothing") }
        guard frame.stream > 0 else {
            sendWindow += frame.word(0)
            if sendWindow > 0x7FFF_FFFF { fail("the connection's window overflows") }
            return
        }
        guard let lane = known(frame) else { return }
        lane.sendCredit += frame.word(0)
        if peerWindow + lane.sendCredit > 0x7FFF_FFFF { fail("the window of stream \(lane.id) overflows") }
    }

    private func takeGoAway(_ frame: Frame) {
        guard frame.payload.count >= 8, frame.stream == 0 else { return fail("a GOAWAY that is too short") }
        let (last, code) = (frame.word(0), frame.word(4))
        guard last <= peerGoAway ?? .max else { return fail("a GOAWAY takes back what the one before let through") }
        trace("is told to go away, last stream \(last), code \(code)")
        peerGoAway = last
        sawError = code != 0
        goAwayArrived(last, code)
    }

    /// A stream that something may come on. §5.1
    private func known(_ frame: Frame) -> Lane? {
        guard let lane = lanes[frame.stream] else {
            if !isLenient { fail("\(frame.kind) on stream \(frame.stream), which is idle") }
            return nil
        }
        let isLate = lane.peerHasReset || lane.resetIsKnown
        // Once it has ended, it may still say that it has read what came, or wants no more of it.
        let isOver = lane.peerHasEnded && frame.kind != .windowUpdate && frame.kind != .reset
        guard isLate || isOver else { return lane }
        fail("\(frame.kind) on stream \(frame.stream), which Poise \(lane.peerHasReset ? "reset" : "ended or lost")")
        return nil
    }

    private func takeReset(_ frame: Frame) {
        guard frame.payload.count == 4 else { return fail("a RST_STREAM of \(frame.payload.count) bytes") }
        guard let lane = known(frame) else { return }
        let wasOver = lane.hasReset
        lane.peerHasReset = true
        lane.steps = []
        trace("stream \(lane.id) is reset with \(frame.word(0))")
        forgetClosed()
        if !wasOver { resetArrived(frame.word(0), on: lane) }
    }

    /// - Returns: `nil` where the padding is longer than the frame.
    private func unpadded(_ frame: Frame) -> ArraySlice<UInt8>? {
        guard frame.flags & Frame.padded != 0 else { return frame.payload }
        guard let first = frame.payload.first, Int(first) < frame.payload.count else {
            fail("padding is longer than its frame")
            return nil
        }
        return frame.payload.dropFirst().dropLast(Int(first))
    }

    private func takeData(_ frame: Frame) {
        guard let content = unpadded(frame), let lane = known(frame) else { return }
        let count = frame.payload.count
        guard lane.finalHeads == 1 else { return fail("DATA on stream \(lane.id) before its head") }
        if count > max(0, window + lane.credit) {
            return fail("\(count) bytes on stream \(lane.id), whose window has \(window + lane.credit)")
        }
        if count > max(0, 65_535 + credit) {
            return fail("\(count) bytes on a connection whose window has \(65_535 + credit)")
        }
        lane.credit -= count
        credit -= count
        if count > 0 { grantLater() }
        lane.contentBytes += content.count
        if let length = lane.contentLength, lane.contentBytes > length {
            return fail("stream \(lane.id) brings more than its \(length) bytes")
        }
        if !lane.hasReset, !content.isEmpty { dataArrived(content, on: lane) }
        if frame.ends { peerEnded(lane) }
    }

    private func peerEnded(_ lane: Lane) {
        lane.peerHasEnded = true
        if let length = lane.contentLength, lane.contentBytes != length {
            return fail("stream \(lane.id) ends after \(lane.contentBytes) of \(length) bytes")
        }
        forgetClosed()
        if !lane.hasReset { messageEnded(on: lane) }
    }

    // MARK: Heads

    private func takeHeaders(_ frame: Frame) {
        guard var content = unpadded(frame) else { return }
        if frame.flags & Frame.hasPriority != 0 { content = content.dropFirst(5) }
        takeBlock((frame.stream, frame.flags, Array(content)), isWhole: frame.flags & Frame.endHeaders != 0)
    }

    private func takeContinuation(_ frame: Frame) {
        guard let block else { return fail("a CONTINUATION of nothing") }
        takeBlock(
            (block.stream, block.flags, block.bytes + frame.payload), isWhole: frame.flags & Frame.endHeaders != 0)
    }

    private func takeBlock(_ block: (stream: Int, flags: UInt8, bytes: [UInt8]), isWhole: Bool) {
        guard isWhole else { return self.block = block }
        self.block = nil
        do throws(FieldReader.Fault) {
            let fields = try fieldReader.read(block.bytes)
            take(fields, on: block.stream, ends: block.flags & Frame.endStream != 0)
        } catch {
            fail("a head that HPACK cannot read: \(error.words)")
        }
    }

    private func take(_ fields: [Field], on id: Int, ends: Bool) {
        if lanes[id] == nil, !isClient {
            guard let lane = accept(id) else { return }
            lane.id = id
            lanes[id] = lane
            active.append(lane)
        }
        let frame = Frame(kind: .headers, flags: 0, stream: id, payload: [])
        guard let lane = known(frame) else { return }
        for field in fields {
            if field.name != field.name.lowercased() { return fail("stream \(id) has a field \(field.name)") }
            // RFC 9113 §8.2.2
            if ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].contains(field.name) {
                return fail("stream \(id) has a field \(field.name)")
            }
        }
        let isTrailers = lane.finalHeads > 0
        guard !fields.drop(while: { $0.name.hasPrefix(":") }).contains(where: { $0.name.hasPrefix(":") }),
            fields.first?.name.hasPrefix(":") ?? false != isTrailers
        else { return fail("stream \(id) has pseudo-fields in the wrong place") }
        if isTrailers {
            guard ends else { return fail("stream \(id) has two final heads") }
            if !lane.hasReset { trailersArrived(fields, on: lane) }
            return peerEnded(lane)
        }
        let status = fields.first.flatMap { $0.name == ":status" ? Int($0.value) : nil }
        if isClient, status.map({ !(100...599).contains($0) || $0 == 101 }) ?? true {
            return fail("stream \(id) is answered by \(fields.first.map { "\($0.name) \($0.value)" } ?? "nothing")")
        }
        if let status, status < 200 {
            guard !ends else { return fail("stream \(id) ends with \(status)") }
        } else {
            lane.finalHeads += 1
            let lengths = fields.filter { $0.name == "content-length" }
            guard lengths.count < 2 else { return fail("stream \(id) has two lengths") }
            lane.contentLength = lengths.first.flatMap { Int($0.value) }
        }
        // What the last SETTINGS left without a window gets one.
        if toldWindow + lane.credit <= 0 { grantLater() }
        lane.hasReset ? headCameTooLate(fields) : headArrived(fields, on: lane, ends: ends)
        if ends { peerEnded(lane) }
    }

    /// Poise opens a stream.
    private func accept(_ id: Int) -> Lane? {
        guard id % 2 == 1, id > lastStream else {
            fail("stream \(id) is opened behind \(lastStream)")
            return nil
        }
        lastStream = id
        guard openCount < min(streamsMax, world.scenario.targetHTTP2.streamsMax) else {
            fail("stream \(id) is one more than the \(streamsMax) that may be open")
            return nil
        }
        guard !goAwayIsKnown else {
            fail("stream \(id) is opened behind a GOAWAY")
            return nil
        }
        return open(id)
    }

    // MARK: The socket

    /// - Parameter max: bytes per call.
    func read(_ max: Int = 1 << 16, while goesOn: () -> Bool = { true }) {
        while !hasLeft, !socket.isClosed, world.violation == nil, goesOn() {
            switch socket.read(max) {
            case .bytes(let bytes): feed(bytes)
            case .blocked: return pumpOut()
            case .end: return connectionEnded(isReset: stream.isBroken)
            case .failed: return connectionEnded(isReset: true)
            }
        }
    }
}
