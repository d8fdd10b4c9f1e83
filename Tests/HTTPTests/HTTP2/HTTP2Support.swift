import PoiseHTTP
import PoiseModel
import Testing

/// One end of a connection with what it sent and the text of what it received, for tests.
final class Endpoint {
    var connection: HTTP2Connection
    var workspace = HTTP2Workspace()
    /// To be taken by the other end.
    var sent: [UInt8] = []
    /// Received and not yet read.
    var input: [UInt8] = []
    var now = MonotonicTime.zero

    init(_ role: HTTP2Connection.Role, _ settings: HTTP2LocalSettings = HTTP2LocalSettings()) {
        connection = HTTP2Connection(role: role, settings: settings)
        connection.start(workspace: &workspace, to: &sent)
    }

    /// What happened, with the bytes and the text that belong to it.
    struct Happening: Equatable {
        var event: HTTP2Connection.Event
        var text = ""
        var content: [UInt8] = []
    }

    /// Reads what is there, event by event.
    func read() -> [Happening] {
        var happenings: [Happening] = []
        var position = 0
        while true {
            let before = sent.count
            let event = connection.next(
                input.span, position: &position, end: input.count, now: now, workspace: &workspace, to: &sent)
            precondition(sent.count - before <= HTTP2Connection.replyBytesMax, "a reply above its bound")
            var happening = Happening(event: event)
            switch event {
            case .needMore:
                input.removeFirst(position)
                return happenings
            case .replied: continue
            case .head, .trailers: happening.text = text(workspace.headText)
            case .data(_, let range, _): happening.content = Array(input[range.indices])
            default: break
            }
            happenings.append(happening)
        }
    }

    func receive(_ bytes: [UInt8]) -> [Happening] {
        input += bytes
        return read()
    }

    func takeSent() -> [UInt8] {
        defer { sent = [] }
        return sent
    }

    var openStreams: Int { connection.openStreams }
    var isIdle: Bool { connection.isIdle }
    var patience: Int { connection.patience }
    var peerStreamsMax: Int { connection.peerStreamsMax }
    var neverIndexed: UInt64 { workspace.neverIndexed }
    var headTextCount: Int { workspace.headTextCount }
    func openStream() -> Int? { connection.openStream() }
    func sendRoom(_ slot: Int) -> Int { connection.sendRoom(slot: slot) }
    func isOpen(_ slot: Int) -> Bool { connection.isOpen(slot: slot) }
    func streamID(_ slot: Int) -> UInt32 { connection.streamID(slot: slot) }

    func open() throws -> Int {
        let slot = openStream()
        return try #require(slot)
    }

    @discardableResult
    func sendHead(_ slot: Int, _ head: String, endStream: Bool = false, neverIndexed: UInt64 = 0) -> Bool {
        let bytes = bytes(head)
        let before = sent.count
        let isSent = connection.sendHead(
            slot: slot, bytes.span, endStream: endStream, neverIndexed: neverIndexed, workspace: &workspace, to: &sent)
        precondition(sent.count - before <= HTTP2Connection.headBytesMax(bytes.count), "a head above its bound")
        return isSent
    }

    func sendData(_ slot: Int, _ content: [UInt8], endStream: Bool = false) {
        connection.sendDataHeader(slot: slot, count: content.count, endStream: endStream, to: &sent)
        sent += content
    }

    func sendTrailers(_ slot: Int, _ lines: String) -> Bool {
        let bytes = Array(lines.utf8)
        return connection.sendTrailers(slot: slot, bytes.span, workspace: &workspace, to: &sent)
    }

    func consume(_ slot: Int, _ count: Int) {
        connection.consumed(slot: slot, count, workspace: &workspace, to: &sent)
    }

    func reset(_ slot: Int, _ code: HTTP2ErrorCode) {
        connection.reset(slot: slot, code, workspace: &workspace, to: &sent)
    }

    func release(_ slot: Int) { connection.release(slot: slot, workspace: &workspace, to: &sent) }

    private func text(_ span: Span<UInt8>) -> String {
        var bytes: [UInt8] = []
        for index in span.indices { bytes.append(span[index]) }
        return latin1(bytes)
    }
}

/// A frame in parts.
struct Frame: Equatable {
    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var payload: [UInt8] = []

    var bytes: [UInt8] {
        [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255), type, flags]
            + big(stream) + payload
    }
}

/// Four bytes, the highest first.
func big(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

/// The whole frames that `bytes` begin with, behind a client's preface where there is one.
func frames(_ bytes: [UInt8]) -> [Frame] {
    var result: [Frame] = []
    var rest = bytes[...]
    if rest.starts(with: preface) { rest = rest.dropFirst(preface.count) }
    while rest.count >= 9 {
        let head = Array(rest.prefix(9))
        let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
        guard rest.count >= 9 + count else { break }
        let stream = head[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        result.append(
            Frame(type: head[3], flags: head[4], stream: stream, payload: Array(rest.dropFirst(9).prefix(count))))
        rest = rest.dropFirst(9 + count)
    }
    return result
}

let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
