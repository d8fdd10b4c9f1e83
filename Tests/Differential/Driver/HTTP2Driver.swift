import PoiseHTTP
import PoiseModel

/// Says what the HTTP/2 machine makes of a connection, for `http2.py`. One line of hexadecimal digits in, one line of
/// parts separated by tabs out:
///
///     read: what a client sends behind its preface --> head STREAM END TEXT | data STREAM BYTES END | trailers STREAM
///           TEXT | large STREAM | reset STREAM CODE (sent) | closed CODE (sent) | peer STREAM CODE (received)
///     write: heads, separated by spaces --> their blocks, as one client sends them
enum HTTP2Driver {
    static func read(_ bytes: [UInt8]) -> String {
        var connection = HTTP2Connection(role: .server, settings: HTTP2LocalSettings())
        var workspace = HTTP2Workspace()
        var parts: [String] = []
        var sent: [UInt8] = []
        let input = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + bytes
        connection.start(workspace: &workspace, to: &sent)
        sent = []
        var position = 0
        while true {
            let event = connection.next(
                input.span, position: &position, end: input.count, now: .zero, workspace: &workspace, to: &sent)
            switch event {
            case .head(let slot, let end):
                parts.append("head \(connection.streamID(slot: slot)) \(end ? 1 : 0) \(text(workspace))")
            case .trailers(let slot):
                parts.append("trailers \(connection.streamID(slot: slot)) \(text(workspace))")
            case .data(let slot, let range, let end):
                parts.append("data \(connection.streamID(slot: slot)) \(range.count) \(end ? 1 : 0)")
                connection.consumed(slot: slot, range.count, workspace: &workspace, to: &sent)
            case .headTooLarge(let slot, _, _): parts.append("large \(connection.streamID(slot: slot))")
            case .streamReset(let slot, let code):
                parts.append("peer \(connection.streamID(slot: slot)) \(code.number)")
            default: break
            }
            collect(&sent, &parts)
            if case .needMore = event { return parts.joined(separator: "\t") }
        }
    }

    static func write(_ heads: [[UInt8]]) -> String {
        var connection = HTTP2Connection(role: .client, settings: HTTP2LocalSettings())
        var workspace = HTTP2Workspace()
        var sent: [UInt8] = []
        connection.start(workspace: &workspace, to: &sent)
        var blocks: [String] = []
        for head in heads {
            sent = []
            guard let slot = connection.openStream(),
                connection.sendHead(slot: slot, head.span, endStream: true, workspace: &workspace, to: &sent)
            else { return "refused" }
            blocks.append(hexadecimal(frames(sent).flatMap(\.payload)))
            connection.release(slot: slot, workspace: &workspace, to: &sent)
        }
        return blocks.joined(separator: "\t")
    }

    /// What was sent that says no, in order.
    private static func collect(_ sent: inout [UInt8], _ parts: inout [String]) {
        for frame in frames(sent) {
            let number = { (at: Int) in frame.payload[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
            if frame.type == 3 { parts.append("reset \(frame.stream) \(number(0))") }
            if frame.type == 7 { parts.append("closed \(number(4))") }
        }
        sent = []
    }

    private static func frames(_ bytes: [UInt8]) -> [(type: UInt8, stream: Int, payload: [UInt8])] {
        var result: [(type: UInt8, stream: Int, payload: [UInt8])] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            let stream = head[5..<9].reduce(0) { $0 << 8 | Int($1) }
            result.append((head[3], stream, Array(rest.dropFirst(9).prefix(count))))
            rest = rest.dropFirst(9 + count)
        }
        return result
    }

    private static func text(_ workspace: borrowing HTTP2Workspace) -> String {
        var text: [UInt8] = []
        workspace.appendHeadText(to: &text)
        return hexadecimal(text)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
