import PoiseHTTP
import PoiseLoop
import PoiseModel

/// One message body on its way from one connection to another, with back-pressure: bytes leave the source's input
/// buffer only as the sink takes them, and nothing more is received meanwhile.
///
///     source.input --(length | chunked | until close)--> sink.output (framing, small pieces) + source.input (large)
///
/// Chunked content is decoded and framed again: extensions go, sizes are ours, trailers stay.
///
/// A class and not a struct: as a property of an exchange it would cost an exclusivity check per call.
final class BodyTransfer {
    enum Source: Equatable { case none, length, chunked, untilClose }
    enum Sink: Equatable { case asIs, chunked }

    enum Outcome: Equatable {
        /// All of the body, and everything staged before it, is with the kernel.
        case complete
        /// The source has nothing to give now.
        case needInput
        case sinkBlocked
        /// The work limit of this turn: call again.
        case yield
        /// The source ended inside the body.
        case sourceEnded
        case sourceFailed
        case sinkFailed
        /// The source's framing is faulty.
        case refused(Refusal)
        /// More than ``bytesMax``.
        case tooLarge
    }

    private(set) var source = Source.none
    var sink = Sink.asIs
    /// Content bytes that the sink has taken, or that were dropped.
    private(set) var bytes = 0
    /// The whole body was read and staged; only sending may be left.
    private(set) var sourceIsDone = true
    var bytesMax = Int.max
    /// Keep what was read, for another try, as long as it is at hand.
    var keepsInput = false
    /// Another try needs the body from its beginning as long as the sink's kernel has taken nothing: until then
    /// content stays in the source's input and is not copied into the sink's output, which goes with the sink.
    var guardsUnsent = false

    private var remaining = 0
    private var dropped = 0
    private let decoder = RawCell(ChunkedDecoder())
    /// Content in the source's input that goes out next, in front of the cursor.
    private var pendingStart = 0
    private var pendingEnd = 0
    private var owesLineEnd = false
    /// The decoder has seen all input and needs more.
    private var waitsForMore = false

    /// Bytes moved per turn: a busy peer must not starve the others.
    private static var turnBytes: Int { 1 << 20 }
    private static var smallPiece: Int { 4096 }
    /// More than this is not kept for another try. Less than a large buffer, which such a body is read into.
    static var keptBytesMax: Int { 64 * 1024 }
    private static var droppedBytesMax: Int { 64 * 1024 }

    func begin(_ framing: BodyFraming, sink: Sink) {
        self.sink = sink
        bytes = 0
        (remaining, dropped) = (0, 0)
        (pendingStart, pendingEnd, owesLineEnd) = (0, 0, false)
        sourceIsDone = false
        switch framing {
        case .none:
            source = .none
            sourceIsDone = true
        case .length(let count):
            source = count > 0 ? .length : .none
            remaining = count
            sourceIsDone = count == 0
        case .chunked:
            source = .chunked
            decoder.value.reset()
        case .untilClose:
            source = .untilClose
        }
    }

    /// Content that came from no source and has gone out: an answer of our own.
    func countGenerated(_ count: Int) { bytes += count }

    /// Whether much of a body of known length is still to come.
    private var isBulk: Bool { source == .length && remaining > BufferPool.standardBytes }

    /// Moves what can be moved now.
    func pump(from: Stream, to: Stream) -> Outcome {
        let stopAt = bytes &+ Self.turnBytes
        while true {
            // Content is taken in before anything is sent, so that a head leaves together with it.
            if pendingStart == pendingEnd, !sourceIsDone {
                if case .refused(let refusal) = readSource(from, to) { return .refused(refusal) }
            }
            if to.hasOutput || pendingEnd > pendingStart || (sourceIsDone && to.owesEnd) {
                guard to.canSend else { return .sinkBlocked }
                let mayCopy = !guardsUnsent || keepsInput || to.sentBytes > 0
                let (count, flush) = to.send(
                    from.input, pendingStart, pendingEnd, mayCopy: mayCopy, isLast: sourceIsDone)
                pendingStart += count
                bytes += count
                if !keepsInput, count > 0 { consume(from) }
                switch flush {
                case .done: break
                case .blocked: return .sinkBlocked
                case .failed: return .sinkFailed
                }
            }
            if bytes > bytesMax { return .tooLarge }
            if keepsInput, bytes > Self.keptBytesMax { stopKeeping(from) }
            if sourceIsDone { return .complete }
            if bytes >= stopAt { return .yield }
            if sourceHasMore(from) { continue }
            // An end that was read by an earlier try is not told of again.
            let mayReceive = from.mayHaveInput || from.messageHasEnded
            switch mayReceive ? receive(from, large: isBulk && (keepsInput || to.takesLargePieces)) : .blocked {
            case .bytes: continue
            case .blocked:
                guard owesLineEnd else {
                    giveBackEmptyInput(from)
                    return .needInput
                }
                // A chunk's line end is due with its data: who reads lines must not wait for the next chunk.
                stageLineEnd(to)
            case .failed: return .sourceFailed
            case .endOfStream:
                guard source == .untilClose, !from.isTruncated else { return .sourceEnded }
                endSource(from, to)
            case .full: preconditionFailure("room was made before")
            }
        }
    }

    /// Unread input that another turn can use. Chunked content may wait for the rest of its trailer section.
    private func sourceHasMore(_ from: Stream) -> Bool {
        from.inputCursor < from.inputEnd && !(source == .chunked && waitsForMore)
    }

    private enum Read { case staged, empty, refused(Refusal) }

    /// Takes the next content out of the source's input: small pieces into the sink's output, a large one as pending.
    private func readSource(_ from: Stream, _ to: Stream) -> Read {
        guard from.inputCursor < from.inputEnd, let buffer = from.input else { return .empty }
        switch source {
        case .none: return .empty
        case .length:
            let count = min(remaining, from.inputEnd - from.inputCursor)
            takePending(from, count)
            remaining -= count
            sourceIsDone = remaining == 0
            return .staged
        case .untilClose:
            let count = from.inputEnd - from.inputCursor
            if sink == .chunked, isSmall(count, to) {
                copy(buffer, from.inputCursor, count, to)
                from.inputCursor += count
                if !keepsInput { from.inputStart = from.inputCursor }
                if from.messageHasEnded { endSource(from, to) }
                return .staged
            }
            stageLineEnd(to)
            if sink == .chunked { stageSize(count, to) }
            takePending(from, count)
            owesLineEnd = sink == .chunked
            // The end leaves with the last bytes, unless it is itself bytes that go behind them.
            if sink == .asIs, from.messageHasEnded { endSource(from, to) }
            return .staged
        case .chunked:
            return decode(buffer, from, to)
        }
    }

    private func decode(_ buffer: Buffer, _ from: Stream, _ to: Stream) -> Read {
        waitsForMore = false
        let input = buffer.bytes(0, from.inputEnd)
        while true {
            var position = from.inputCursor
            let event = decoder.value.next(input, position: &position, end: from.inputEnd)
            switch event {
            case .data(let data):
                if !isSmall(data.count, to) {
                    stageLineEnd(to)
                    if sink == .chunked { stageSize(data.count, to) }
                    from.inputCursor = position
                    (pendingStart, pendingEnd) = (data.start, data.end)
                    owesLineEnd = sink == .chunked
                    return .staged
                }
                copy(buffer, data.start, data.count, to)
                from.inputCursor = position
                if !keepsInput { from.inputStart = position }
                if bytes > bytesMax { return .empty }
            case .needMore:
                waitsForMore = true
                from.inputCursor = position
                if !keepsInput { from.inputStart = position }
                stageLineEnd(to)
                return to.hasOutput ? .staged : .empty
            case .end:
                from.inputCursor = position
                sourceIsDone = true
                stageLineEnd(to)
                if sink == .chunked || to.framesMessages { stageTrailers(buffer, to) }
                if !keepsInput { from.inputStart = position }
                return .staged
            case .refused(let refusal):
                return .refused(refusal)
            }
        }
    }

    private func isSmall(_ count: Int, _ to: Stream) -> Bool {
        count <= Self.smallPiece && to.outputRoom >= count + 64
    }

    /// Stages a small piece whole: it leaves in one send with its framing and with what stands before it.
    private func copy(_ buffer: Buffer, _ start: Int, _ count: Int, _ to: Stream) {
        stageLineEnd(to)
        if sink == .chunked { stageSize(count, to) }
        var writer = to.stage(room: count + 2)
        writer.append(buffer.bytes(start, start + count))
        to.commit(writer)
        owesLineEnd = sink == .chunked
        stageLineEnd(to)
        bytes += count
    }

    private func takePending(_ from: Stream, _ count: Int) {
        (pendingStart, pendingEnd) = (from.inputCursor, from.inputCursor + count)
        from.inputCursor += count
    }

    /// Frees what was sent; an emptied buffer is used from its start again.
    private func consume(_ from: Stream) {
        from.inputStart = pendingStart
        if pendingStart == pendingEnd, from.inputCursor == from.inputEnd {
            (from.inputStart, from.inputCursor, from.inputEnd) = (0, 0, 0)
            (pendingStart, pendingEnd) = (0, 0)
        }
    }

    /// Too much has gone for another try.
    private func stopKeeping(_ from: Stream) {
        keepsInput = false
        from.inputStart = pendingEnd > pendingStart ? pendingStart : from.inputCursor
    }

    /// Whoever waits holds no buffer: so the next to receive takes the one that is still in the processor's cache.
    private func giveBackEmptyInput(_ from: Stream) {
        guard !keepsInput, pendingStart == pendingEnd else { return }
        (pendingStart, pendingEnd) = (0, 0)
        from.releaseInputIfEmpty()
    }

    /// Receives into the source's input, making room first.
    private func receive(_ from: Stream, large: Bool) -> Stream.Fill {
        if !keepsInput {
            if from.inputCursor == from.inputEnd {
                if isBulk, let buffer = from.input, (buffer.capacity == BufferPool.largeBytes) != large {
                    from.dropInput()
                }
                (from.inputStart, from.inputCursor, from.inputEnd) = (0, 0, 0)
            } else if let buffer = from.input, from.inputEnd == buffer.capacity {
                _ = from.compactInput()
            }
        } else if from.inputEnd - from.inputStart > Self.keptBytesMax {
            stopKeeping(from)
            return receive(from, large: large)
        }
        return from.fill(large: large)
    }

    // MARK: Dropping

    /// Whether reading the rest costs less than a new connection. Chunked content tells only as it comes.
    var isWorthDropping: Bool { source != .untilClose && remaining <= Self.droppedBytesMax }

    /// Reads on without a sink, in place of ``pump(from:to:)`` from now on: nobody wants the rest.
    ///
    /// - Returns: `.complete`, `.needInput`, `.tooLarge` once it was not worth it, or how the source failed.
    func drop(from: Stream) -> Outcome {
        (pendingStart, pendingEnd, owesLineEnd, keepsInput) = (0, 0, false, false)
        while true {
            if let refusal = skip(from) { return .refused(refusal) }
            if sourceIsDone { return .complete }
            if dropped > Self.droppedBytesMax { return .tooLarge }
            guard from.mayHaveInput else { return .needInput }
            switch receive(from, large: isBulk) {
            case .bytes: continue
            case .blocked: return .needInput
            case .endOfStream: return .sourceEnded
            case .failed: return .sourceFailed
            case .full: return .tooLarge
            }
        }
    }

    private func skip(_ from: Stream) -> Refusal? {
        defer { from.inputStart = from.inputCursor }
        guard source == .chunked else {
            let count = min(remaining, from.unreadCount)
            from.inputCursor += count
            remaining -= count
            drop(count)
            sourceIsDone = remaining == 0
            return nil
        }
        guard let buffer = from.input else { return nil }
        let input = buffer.bytes(0, from.inputEnd)
        var position = from.inputCursor
        defer { from.inputCursor = position }
        while position < from.inputEnd {
            switch decoder.value.next(input, position: &position, end: from.inputEnd) {
            case .data(let data): drop(data.count)
            case .needMore: return nil
            case .end:
                sourceIsDone = true
                return nil
            case .refused(let refusal): return refusal
            }
        }
        return nil
    }

    private func drop(_ count: Int) {
        dropped += count
        bytes += count
    }

    // MARK: Chunk framing of ours

    private func stageSize(_ count: Int, _ to: Stream) {
        var writer = to.stage(room: 20)
        writer.appendHex(UInt64(count))
        writer.append(0x0D)
        writer.append(0x0A)
        to.commit(writer)
    }

    private func stageLineEnd(_ to: Stream) {
        guard owesLineEnd else { return }
        owesLineEnd = false
        var writer = to.stage(room: 2)
        writer.append(0x0D)
        writer.append(0x0A)
        to.commit(writer)
    }

    private func stageEnd(_ to: Stream) {
        stageLineEnd(to)
        var writer = to.stage(room: 5)
        writer.append(text: "0\r\n\r\n")
        to.commit(writer)
    }

    /// The source framed its message itself, and its end has come.
    private func endSource(_ from: Stream, _ to: Stream) {
        sourceIsDone = true
        let trailers = from.framesMessages ? from.receivedTrailers : []
        if to.framesMessages {
            if !trailers.isEmpty { to.stageTrailers(trailers.span) }
        } else if sink == .chunked {
            trailers.isEmpty ? stageEnd(to) : stageEnd(to, trailers)
        }
    }

    private func stageEnd(_ to: Stream, _ trailers: [UInt8]) {
        stageLineEnd(to)
        var writer = to.stage(room: trailers.count + 5)
        writer.append(text: "0\r\n")
        writer.append(trailers.span)
        writer.append(text: "\r\n")
        to.commit(writer)
    }

    private func stageTrailers(_ buffer: Buffer, _ to: Stream) {
        if to.framesMessages { return passTrailers(buffer, to) }
        var room = 5
        for field in decoder.value.trailers { room += field.name.count + field.value.count + 4 }
        var writer = to.stage(room: room)
        writer.append(text: "0\r\n")
        for field in decoder.value.trailers where !field.isHopByHop {
            writer.append(buffer.bytes(field.name.start, field.name.end))
            writer.append(text: ": ")
            writer.append(buffer.bytes(field.value.start, field.value.end))
            writer.append(text: "\r\n")
        }
        writer.append(text: "\r\n")
        to.commit(writer)
    }

    private func passTrailers(_ buffer: Buffer, _ to: Stream) {
        var lines: [UInt8] = []
        for field in decoder.value.trailers where !field.isHopByHop {
            lines.append(buffer.bytes(field.name.start, field.name.end))
            lines.append(text: ": ")
            lines.append(buffer.bytes(field.value.start, field.value.end))
            lines.append(text: "\r\n")
        }
        if !lines.isEmpty { to.stageTrailers(lines.span) }
    }
}
