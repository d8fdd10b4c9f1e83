import PoiseBytes

/// What goes out.
extension HTTP2Connection {
    /// Content that may be sent on a stream now: what both windows leave, 0 where there is nothing to be sent.
    public func sendRoom(slot: Int) -> Int {
        let stream = streams[slot]
        guard stream.flags.contains([.isOpen, .headSent]), !stream.flags.contains(.localEnded) else { return 0 }
        return window(slot: slot)
    }

    /// What both windows of a stream leave, whether or not there is anything to be sent yet.
    public func window(slot: Int) -> Int { Swift.max(0, Swift.min(streams[slot].sendWindow, sendWindow)) }

    /// The peer's number of the stream, 0 for a request that was not sent.
    public func streamID(slot: Int) -> UInt32 { streams[slot].id }
    /// As the client said, or 3 and not incremental.
    public func priority(slot: Int) -> HTTP2Priority { streams[slot].priority }
    /// Neither side has ended or reset the stream for good.
    public func isOpen(slot: Int) -> Bool { streams[slot].flags.contains(.isOpen) }

    @usableFromInline static var preface: StaticString { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }
    /// "poiseBDP"
    static var measuringPing: UInt64 { 0x706F_6973_6542_4450 }

    @usableFromInline mutating func begin(_ workspace: inout HTTP2Workspace) {
        if role == .client {
            let preface = Self.preface.asciiBytes
            for index in preface.indices { workspace.put(preface[index]) }
        }
        var entries: [(UInt16, Int)] = [
            (4, settings.streamWindowBytes), (6, settings.headListBytesMax),
            // RFC 9218 §2.1: the priorities of RFC 7540 mean nothing here.
            (9, 1),
        ]
        entries.append(role == .server ? (3, settings.streamsMax) : (2, 0))
        workspace.putFrameHeader(.settings, flags: 0, stream: 0, payload: entries.count * 6)
        for (id, value) in entries {
            workspace.put(bigEndian: id)
            workspace.put(bigEndian: UInt32(value))
        }
        let more = settings.windowBytesMax - receiveWindow
        if more > 0 { writeWindowUpdate(0, more, &workspace) }
        receiveWindow = settings.windowBytesMax
    }

    /// Opens a stream of ours, for a request: its number is chosen when the head is sent.
    /// - Returns: nil where either side wants no more streams.
    public mutating func openStream() -> Int? {
        guard role == .client, !peerIsGoingAway, !isGoingAway, phase != .failed, nextStream < 0x7FFF_FFFF,
            slotsInUse < Swift.min(peerStreamsMax, settings.streamsMax)
        else { return nil }
        let slot = takeSlot()
        streams[slot].sendWindow = peerStreamWindow
        return slot
    }

    @usableFromInline mutating func writeHead(
        _ slot: Int, _ text: Span<UInt8>, _ endStream: Bool, _ isHTTPS: Bool, _ neverIndexed: UInt64,
        _ workspace: inout HTTP2Workspace
    ) -> Bool {
        let flags = streams[slot].flags
        if role == .client {
            guard flags == .inUse, streams[slot].id == 0, phase != .failed, !peerIsGoingAway else { return false }
        } else {
            guard flags.contains(.isOpen), flags.isDisjoint(with: [.headSent, .localEnded]) else { return false }
        }
        let start = workspace.outputCount + HTTP2FrameHeader.byteCount
        guard
            let summary = encoder.encode(
                text, role == .client ? .request(isHTTPS: isHTTPS) : .response, neverIndexed: neverIndexed, &workspace,
                at: start)
        else { return false }
        if role == .client {
            streams[slot].id = nextStream
            streams[slot].flags.insert([.isOpen, .headSent])
            if summary.isHead { streams[slot].flags.insert(.isHead) }
            index.insert(nextStream, slot: slot)
            openStreams += 1
            nextStream += 2
        } else if summary.status >= 200 {
            streams[slot].flags.insert(.headSent)
        }
        // One of 1xx never ends a stream. §8.1
        let endStream = endStream && (role == .client || summary.status >= 200)
        frameBlock(streams[slot].id, start, summary.end, endStream, &workspace)
        if endStream { endLocally(slot) }
        return true
    }

    @usableFromInline mutating func writeTrailers(
        _ slot: Int, _ text: Span<UInt8>, _ neverIndexed: UInt64, _ workspace: inout HTTP2Workspace
    ) -> Bool {
        let flags = streams[slot].flags
        guard flags.contains([.isOpen, .headSent]), !flags.contains(.localEnded) else { return false }
        let start = workspace.outputCount + HTTP2FrameHeader.byteCount
        guard let summary = encoder.encode(text, .trailers, neverIndexed: neverIndexed, &workspace, at: start) else {
            return false
        }
        frameBlock(streams[slot].id, start, summary.end, true, &workspace)
        endLocally(slot)
        return true
    }

    /// Puts frame headers around the block `start..<end` of the output: room for the first one is before it.
    private func frameBlock(
        _ stream: UInt32, _ start: Int, _ end: Int, _ endStream: Bool, _ workspace: inout HTTP2Workspace
    ) {
        let endFlag = endStream ? HTTP2FrameHeader.endStream : 0
        let pieceMax = peerFrameBytesMax
        let pieces = Swift.max(1, (end - start + pieceMax - 1) / pieceMax)
        let total = end + (pieces - 1) * HTTP2FrameHeader.byteCount
        workspace.ensureOutput(total - workspace.outputCount)
        // From the last piece to the first, so that none is overwritten before it has moved.
        for piece in (0..<pieces).reversed() {
            let from = start + piece * pieceMax
            let to = Swift.min(end, from + pieceMax)
            let target = from + piece * HTTP2FrameHeader.byteCount
            if piece > 0 {
                var span = workspace.output.mutableSpan
                span.move(from: from, to: to, at: target)
            }
            var flags: UInt8 = piece == pieces - 1 ? HTTP2FrameHeader.endHeaders : 0
            if piece == 0 { flags |= endFlag }
            workspace.outputCount = target - HTTP2FrameHeader.byteCount
            workspace.putFrameHeader(
                piece == 0 ? .headers : .continuation, flags: flags, stream: stream, payload: to - from)
        }
        workspace.outputCount = total
    }

    @usableFromInline mutating func takeDataHeader(_ slot: Int, _ count: Int, _ endStream: Bool) -> (UInt64, UInt8) {
        precondition(count <= peerFrameBytesMax && (count > 0 || endStream), "a DATA frame that must not be")
        precondition(count <= sendRoom(slot: slot), "more content than the windows leave")
        precondition(
            streams[slot].flags.contains([.isOpen, .headSent]), "content of a stream that has no head, or ended")
        streams[slot].sendWindow &-= count
        sendWindow &-= count
        let isCutShort = streams[slot].sendWindow == 0 || sendWindow == 0
        budget.credit(isCutShort ? HTTP2Budget.credit(cutShortAt: count) : HTTP2Budget.dataFrameCredit)
        let id = streams[slot].id
        let frame = HTTP2FrameHeader(
            type: .data, flags: endStream ? HTTP2FrameHeader.endStream : 0, stream: id, payload: count)
        if endStream { endLocally(slot) }
        return (frame.word.byteSwapped, UInt8(truncatingIfNeeded: id))
    }

    @usableFromInline mutating func writeReset(
        _ slot: Int, _ code: HTTP2ErrorCode, _ workspace: inout HTTP2Workspace
    ) {
        guard streams[slot].flags.contains(.isOpen) else { return }
        writeReset(id: streams[slot].id, code, &workspace)
        streams[slot].flags.insert(.wasReset)
        close(slot)
    }

    mutating func writeReset(id: UInt32, _ code: HTTP2ErrorCode, _ workspace: inout HTTP2Workspace) {
        workspace.putFrameHeader(.reset, flags: 0, stream: id, payload: 4)
        workspace.put(bigEndian: code.number)
        if resetStreams.isEmpty { resetStreams = [UInt32](repeating: 0, count: 128) }
        resetStreams[resetCount & 127] = id
        resetCount &+= 1
    }

    @usableFromInline mutating func writeGoAway(
        _ final: Bool, _ code: HTTP2ErrorCode, _ workspace: inout HTTP2Workspace
    ) {
        guard phase != .failed else { return }
        isGoingAway = true
        if final {
            // A head that is half read opens nothing any more: its client sends it elsewhere.
            let isHalfRead = blockStream != 0 && blockIsNew
            lastProcessed = Swift.min(lastProcessed, isHalfRead ? Swift.max(blockStream, 2) &- 2 : lastPeerStream)
        }
        putGoAway(lastProcessed, code, &workspace)
    }

    func putGoAway(_ last: UInt32, _ code: HTTP2ErrorCode, _ workspace: inout HTTP2Workspace) {
        workspace.putFrameHeader(.goAway, flags: 0, stream: 0, payload: 8)
        workspace.put(bigEndian: last)
        workspace.put(bigEndian: code.number)
    }

    @usableFromInline func writePing(_ payload: UInt64, _ workspace: inout HTTP2Workspace) {
        workspace.putFrameHeader(.ping, flags: 0, stream: 0, payload: 8)
        workspace.put(bigEndian: payload)
    }

    func writeWindowUpdate(_ stream: UInt32, _ count: Int, _ workspace: inout HTTP2Workspace) {
        workspace.putFrameHeader(.windowUpdate, flags: 0, stream: stream, payload: 4)
        workspace.put(bigEndian: UInt32(truncatingIfNeeded: count))
    }

    /// Content was consumed: windows are given back in halves.
    @usableFromInline mutating func giveBack(_ slot: Int, _ count: Int, _ workspace: inout HTTP2Workspace) {
        precondition(0 <= count && count <= streams[slot].held, "consumed more than was there")
        streams[slot].held &-= count
        owe(count, &workspace)
        guard streams[slot].flags.contains(.isOpen), !streams[slot].flags.contains(.remoteEnded) else { return }
        streams[slot].owed &+= count
        updateStreamWindow(slot, &workspace)
    }

    mutating func updateStreamWindow(_ slot: Int, _ workspace: inout HTTP2Workspace) {
        let growth = streamWindow &- streams[slot].windowSize
        guard (streams[slot].owed &+ growth) &* 2 >= streamWindow else { return }
        let more = streams[slot].owed &+ growth
        streams[slot].receiveWindow &+= more
        streams[slot].owed = 0
        streams[slot].windowSize = streamWindow
        writeWindowUpdate(streams[slot].id, more, &workspace)
        streams[slot].flags.insert(.isLong)
    }

    /// Content came. What comes within a round trip after it is what the window lets through: if that is nearly all of the
    /// window, it is too small. Measured once for each half of a window, and only where content is that long.
    @inline(__always)
    mutating func measure(_ count: Int, _ slot: Int, _ workspace: inout HTTP2Workspace) {
        if isMeasuring {
            measuredBytes &+= count
        } else if streams[slot].flags.contains(.isLong), streamWindow < settings.streamWindowBytesMax {
            streams[slot].flags.remove(.isLong)
            (isMeasuring, measuredBytes) = (true, count)
            writePing(Self.measuringPing, &workspace)
        }
    }

    /// Bytes that nobody holds any more go back into the connection's window.
    mutating func owe(_ count: Int, _ workspace: inout HTTP2Workspace) {
        owed &+= count
        guard owed &* 2 >= settings.windowBytesMax else { return }
        receiveWindow &+= owed
        writeWindowUpdate(0, owed, &workspace)
        owed = 0
    }

    /// The measuring PING came back.
    mutating func finishMeasuring() {
        isMeasuring = false
        guard measuredBytes &* 3 >= streamWindow &* 2 else { return }
        streamWindow = Swift.min(streamWindow * 2, settings.streamWindowBytesMax)
    }
}
