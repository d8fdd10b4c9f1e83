import PoiseModel
import PoiseSimulation

/// What comes from Poise, frame by frame, and what of it must not be.
extension HTTP2End {
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
        if !lane.hasReset, let length = lane.contentLength, lane.contentBytes > length {
            return fail("stream \(lane.id) brings more than its \(length) bytes")
        }
        if !lane.hasReset, !content.isEmpty { dataArrived(content, on: lane) }
        if frame.ends { peerEnded(lane) }
    }

    private func peerEnded(_ lane: Lane) {
        lane.peerHasEnded = true
        if !lane.hasReset, let length = lane.contentLength, lane.contentBytes != length {
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
