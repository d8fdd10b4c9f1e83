import PoiseHTTP
import PoiseModel

/// Reads the bytes in one piece, in two and one by one.
func compareCuts(_ role: HTTP2Connection.Role, _ bytes: [UInt8]) {
    var whole = Reader(role)
    whole.read(bytes[...])
    var parts = Reader(role)
    let middle = cut(of: bytes)
    parts.read(bytes[..<middle])
    parts.read(bytes[middle...])
    precondition(parts.log == whole.log, "the cut changed the events")
    precondition(parts.sent == whole.sent, "the cut changed the answers")
    if bytes.count < 600 {
        var drips = Reader(role)
        for byte in bytes { drips.read([byte]) }
        precondition(drips.log == whole.log && drips.sent == whole.sent, "one byte at a time changed the events")
    }
}

/// An owner that answers every request, consumes all content and releases what has ended; after each call it checks what
/// must always hold.
private struct Reader: ~Copyable {
    var connection: HTTP2Connection
    var workspace = HTTP2Workspace()
    var sent: [UInt8] = []
    /// Events and text; content as it adds up, as it may come in other pieces.
    var log: [UInt8] = []
    var pending: [UInt8] = []
    var slots: Set<Int> = []
    var content: [Int: [UInt8]] = [:]
    var refused = false

    init(_ role: HTTP2Connection.Role) {
        var settings = HTTP2LocalSettings()
        settings.streamsMax = 8
        settings.headListBytesMax = 1024
        settings.fieldCountMax = 10
        connection = HTTP2Connection(role: role, settings: settings)
        connection.start(workspace: &workspace, to: &sent)
        guard role == .client else { return }
        for path in ["/a", "/b"] {
            guard let slot = connection.openStream() else { continue }
            slots.insert(slot)
            let head = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            precondition(
                connection.sendHead(slot: slot, head.span, endStream: true, workspace: &workspace, to: &sent))
        }
    }

    mutating func read(_ bytes: ArraySlice<UInt8>) {
        pending += bytes
        let input = pending
        var position = 0
        while true {
            let before = sent.count
            let event = connection.next(
                input.span, position: &position, end: input.count, now: .zero, workspace: &workspace, to: &sent)
            precondition(sent.count - before <= HTTP2Connection.replyBytesMax, "an answer above its bound")
            precondition(!refused || event == .needMore, "an event after the end")
            switch event {
            case .needMore:
                precondition(input.count - position < HTTP2Connection.inputBytesMin, "waits with enough bytes")
                pending.removeFirst(position)
                return
            case .replied, .writable: continue
            case .head(let slot, let end):
                precondition(slots.contains(slot) || connection.streamID(slot: slot) != 0)
                slots.insert(slot)
                note(1, slot)
                checkText(connection.role)
                answer(slot)
                if end { finish(slot) }
            case .headTooLarge(let slot, let end, _):
                slots.insert(slot)
                note(2, slot)
                answer(slot)
                if end { finish(slot) }
            case .trailers(let slot):
                precondition(slots.contains(slot))
                note(3, slot)
                checkText(nil)
                finish(slot)
            case .data(let slot, let range, let end):
                precondition(slots.contains(slot))
                precondition(range.end <= input.count && (end || !range.isEmpty))
                content[slot, default: []] += input[range.indices]
                connection.consumed(slot: slot, range.count, workspace: &workspace, to: &sent)
                if end { finish(slot) }
            case .streamReset(let slot, let code):
                note(4, slot)
                log.append(UInt8(truncatingIfNeeded: code.number))
                finish(slot)
            case .streamFailed(let slot, _, let fault):
                note(5, slot)
                log.append(fault.rawValue)
                finish(slot)
            case .streamRefused(_, let fault): log += [6, fault.rawValue]
            case .settingsChanged: log.append(7)
            case .goAway(let last, _): log += [8, UInt8(truncatingIfNeeded: last)]
            case .pingAcknowledged(let payload): log += [9, UInt8(truncatingIfNeeded: payload)]
            case .priorityChanged(let slot): note(10, slot)
            case .refusedConnection(let code, let fault):
                log += [11, UInt8(truncatingIfNeeded: code.number), fault.rawValue]
                refused = true
            }
        }
    }

    private mutating func note(_ what: UInt8, _ slot: Int) { log += [what, UInt8(truncatingIfNeeded: slot)] }

    private mutating func answer(_ slot: Int) {
        guard connection.role == .server else { return }
        let head = Array("HTTP/1.1 200 OK\r\nserver: x\r\n\r\n".utf8)
        precondition(connection.sendHead(slot: slot, head.span, endStream: true, workspace: &workspace, to: &sent))
    }

    private mutating func finish(_ slot: Int) {
        precondition(slots.remove(slot) != nil, "an event of a slot that was released")
        log += content.removeValue(forKey: slot) ?? []
        connection.release(slot: slot, workspace: &workspace, to: &sent)
    }

    /// What comes out is read by the parsers of HTTP/1.1 without a second look at its lines.
    private func checkText(_ role: HTTP2Connection.Role?) {
        var text: [UInt8] = []
        workspace.appendHeadText(to: &text)
        precondition(text.suffix(2) == [13, 10])
        var index = 0
        while index < text.count {
            if text[index] == 13 { precondition(text[index + 1] == 10, "a bare CR") }
            if text[index] == 10 { precondition(index > 0 && text[index - 1] == 13, "a bare LF") }
            precondition(text[index] != 0, "a NUL")
            index += 1
        }
        switch role {
        case .server:
            var head = RequestHead()
            switch head.parse(text.span, from: 0, limits: HeadLimits()) {
            case .complete: precondition(head.headEnd == text.count, "more than one head")
            // What HTTP/2 lets pass and the grammar of HTTP/1.1 does not: it is refused there.
            case .refused: break
            case .needMore: preconditionFailure("half a head")
            }
        case .client:
            var head = ResponseHead()
            if case .complete = head.parse(text.span, from: 0, limits: HeadLimits(), requestMethod: .get) {
                precondition(head.headEnd == text.count, "more than one head")
            }
        case nil: break
        }
    }
}
