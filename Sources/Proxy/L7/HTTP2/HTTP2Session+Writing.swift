import PoiseHTTP
import PoiseLoop

/// What goes out: frames into the carrier's output, one send at the end of the wake-up, and who waits for room.
extension HTTP2Session {
    /// Content stops here, so that heads and the machine's answers find room behind it.
    private static var contentStagedMax: Int { 128 * 1024 }

    /// - Parameters:
    ///   - text: as HTTP/1 has it.
    ///   - isHTTPS: a request's scheme.
    func sendHead(_ lane: HTTP2Lane, _ text: Span<UInt8>, endsMessage: Bool, isHTTPS: Bool, neverIndexed: UInt64) {
        guard !hasFailed else { return }
        let isSent = emit(HTTP2Connection.headBytesMax(text.count)) {
            machine.value.sendHead(
                slot: lane.slot, text, endStream: endsMessage, isHTTPS: isHTTPS, neverIndexed: neverIndexed,
                workspace: &workspace.value, to: &$0)
        }
        if !isSent { reset(lane.slot, .internalError) }
    }

    /// - Returns: how many of the bytes were taken: as many as the windows and the output have room for.
    func sendContent(_ lane: HTTP2Lane, _ buffer: Buffer, _ start: Int, _ end: Int, ends: Bool) -> Int {
        guard !hasFailed else { return 0 }
        var position = start
        while position < end {
            if stagedCount >= Self.contentStagedMax { flush() }
            guard !hasFailed else { break }
            let room = min(
                machine.value.sendRoom(slot: lane.slot), Self.contentStagedMax - stagedCount,
                machine.value.peerFrameBytesMax)
            guard room > 0 else {
                if stagedCount >= Self.contentStagedMax { outputWasFull = true }
                break
            }
            let count = min(room, end - position)
            let isLast = ends && position + count == end && lane.trailersToSend.isEmpty
            emit(count + 9) {
                machine.value.sendDataHeader(slot: lane.slot, count: count, endStream: isLast, to: &$0)
                $0.append(buffer.bytes(position, position + count))
            }
            position += count
        }
        if ends, position == end, !lane.trailersToSend.isEmpty { sendEnd(lane) }
        return position - start
    }

    /// What windows and output leave for the lane's content. A socket that takes bytes has room for more than the output.
    func contentRoom(_ lane: HTTP2Lane) -> Int {
        let window = hasFailed ? 0 : machine.value.window(slot: lane.slot)
        return carrier.canSend ? window : min(window, max(0, Self.contentStagedMax - stagedCount))
    }

    /// Ends a message whose content has left: with its trailers where it has some.
    func sendEnd(_ lane: HTTP2Lane) {
        guard !hasFailed else { return }
        guard !lane.trailersToSend.isEmpty else {
            return emit(9) { machine.value.sendDataHeader(slot: lane.slot, count: 0, endStream: true, to: &$0) }
        }
        var lines = lane.trailersToSend
        lane.trailersToSend = []
        lines.append(text: "\r\n")
        let isSent = emit(HTTP2Connection.headBytesMax(lines.count)) {
            machine.value.sendTrailers(slot: lane.slot, lines.span, workspace: &workspace.value, to: &$0)
        }
        if !isSent { reset(lane.slot, .internalError) }
    }

    /// Appends frames to what leaves at the end of the wake-up.
    ///
    /// - Parameter bytesMax: how many bytes `write` appends at most.
    @inline(__always)
    func emit<Result>(_ bytesMax: Int, _ write: (inout BufferWriter) -> Result) -> Result {
        if spill.isEmpty, carrier.outputEnd - carrier.outputStart + bytesMax <= BufferPool.largeBytes {
            var writer = carrier.stage(room: bytesMax)
            let before = writer.end
            let result = write(&writer)
            if writer.end > before { markDirty() }
            carrier.commit(writer)
            return result
        }
        return emitSpilled(write)
    }

    /// A peer that reads slowly, and much to tell it: frames wait in memory of their own. How much that can be is bounded:
    /// content stops before, reading stops too, and each open stream has one head and one end.
    @inline(never)
    private func emitSpilled<Result>(_ write: (inout BufferWriter) -> Result) -> Result {
        let buffer = worker.loop.takeLargeBuffer()
        var writer = BufferWriter(buffer, at: 0)
        let result = write(&writer)
        precondition(!writer.overflowed, "frames larger than a large buffer")
        spill.append(buffer.bytes(0, writer.end))
        worker.loop.releaseBuffer(buffer)
        markDirty()
        return result
    }

    private func markDirty() {
        guard !isDirty else { return }
        isDirty = true
        worker.flushAtEndOfWakeUp(self)
    }

    /// What must leave before anything else, in bytes.
    var stagedCount: Int { carrier.outputEnd - carrier.outputStart + spill.count }

    /// Sends what is staged, as far as the kernel takes it.
    func flush() {
        isDirty = false
        guard carrier.isOpen else { return }
        while true {
            switch carrier.flushOutput() {
            case .blocked: return
            case .failed: return breakLater()
            case .done: break
            }
            guard !spill.isEmpty else { break }
            let count = min(spill.count, BufferPool.largeBytes / 2)
            var writer = carrier.stage(room: count)
            writer.append(spill.span.extracting(0..<count))
            carrier.commit(writer)
            spill.removeFirst(count)
        }
        if !carrier.hasOutput { carrier.releaseOutput() }
        guard outputWasFull else { return }
        // No event tells that there is room again: the kernel took all.
        outputWasFull = false
        mayGoOn = true
        carrier.again()
    }

    /// The socket is broken. Whoever sends may be in the middle of a stream's work: the end comes in a turn of its own.
    private func breakLater() {
        (hasFailed, isBroken) = (true, true)
        carrier.again()
    }

    /// Before anything else in a turn of the carrier.
    ///
    /// - Returns: false when the connection has ended.
    func beginTurn() -> Bool {
        if isBroken {
            isBroken = false
            owner.disconnected()
            return false
        }
        if mayGoOn {
            mayGoOn = false
            wakeAll()
        }
        return carrier.isOpen
    }

    /// The socket takes bytes again.
    func mayWrite() {
        flush()
        guard carrier.isOpen, !carrier.hasOutput, spill.isEmpty else { return }
        wakeAll()
        // Reading may have stopped for want of room.
        if carrier.unreadCount > 0 { read() }
    }

    // MARK: Waiting for room

    /// Tells the lane's stream when its window or the output has room again.
    func waitForRoom(_ lane: HTTP2Lane) {
        lane.isWaiting = true
        guard !lane.isListed else { return }
        if waiting.count > 2 * openCount + 64 { forgetClosed() }
        lane.isListed = true
        waiting.append(lane)
    }

    /// Streams that ended while they waited: a client that never opens its window would let them pile up.
    private func forgetClosed() {
        var still: [HTTP2Lane] = []
        while let lane = waiting.popLast() { if lane.session != nil { still.append(lane) } }
        for lane in still.reversed() { waiting.append(lane) }
    }

    /// Windows that open by a few bytes at a time are used once all that was received has been read: in as few frames as
    /// they allow.
    func wakeLater(_ slot: Int) {
        guard let lane = lane(slot), lane.isWaiting, !lane.isWidened else { return }
        lane.isWidened = true
        widened.append(lane)
    }

    func tellOfRoom() {
        if wakesAll {
            wakesAll = false
            wakeAll()
        }
        guard !widened.isEmpty else { return }
        for index in widened.indices {
            let lane = widened[index]
            lane.isWidened = false
            guard lane.isWaiting, lane.session != nil else { continue }
            if stagedCount < Self.contentStagedMax { wake(lane) } else { outputWasFull = true }
        }
        while widened.popLast() != nil {}
    }

    private func wake(_ lane: HTTP2Lane) {
        lane.isWaiting = false
        lane.stream?.mayWrite()
    }

    /// The more urgent first (RFC 9218 §10); of equals who has waited longest.
    func wakeAll() {
        guard !waiting.isEmpty else { return }
        var woken: [HTTP2Lane] = []
        while let lane = waiting.popLast() {
            lane.isListed = false
            if lane.isWaiting, lane.session != nil { woken.append(lane) }
        }
        woken.reverse()
        for urgency in UInt8(0)...7 {
            for lane in woken where lane.isWaiting && lane.session != nil {
                guard machine.value.priority(slot: lane.slot).urgency == urgency else { continue }
                guard stagedCount < Self.contentStagedMax, carrier.isOpen, !hasFailed else {
                    outputWasFull = true
                    waitForRoom(lane)
                    continue
                }
                // One that finds nothing left would cost a turn of its exchange for each update of the others.
                machine.value.sendRoom(slot: lane.slot) > 0 ? wake(lane) : waitForRoom(lane)
            }
        }
    }
}
