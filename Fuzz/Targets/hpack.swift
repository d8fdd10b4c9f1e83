// rooms: Model Bytes HTTP
import PoiseHTTP
import PoiseModel

/// Blocks for one connection, each behind a byte with its length: what comes out of the decoder goes into an encoder, and
/// what a second decoder makes of that is the same.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func hpack(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    var first = HTTP2Connection(role: .server, settings: HTTP2LocalSettings())
    var client = HTTP2Connection(role: .client, settings: HTTP2LocalSettings())
    var second = HTTP2Connection(role: .server, settings: HTTP2LocalSettings())
    var workspace = HTTP2Workspace()
    var unused: [UInt8] = []
    var relayed: [UInt8] = []
    client.start(workspace: &workspace, to: &relayed)
    guard case .settingsChanged = read(&second, relayed, &workspace).event else { preconditionFailure() }
    let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
    _ = read(&first, Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + settings, &workspace)
    var position = 0
    var stream: UInt8 = 1
    while position < bytes.count, stream < 250 {
        let length = min(Int(bytes[position]), bytes.count - position - 1)
        let block = bytes[position + 1..<position + 1 + length]
        position += 1 + length
        let (event, text) = read(&first, [0, 0, UInt8(length), 1, 5, 0, 0, 0, stream] + block, &workspace)
        stream += 2
        switch event {
        case .refusedConnection: return 0
        case .head(let slot, _):
            first.release(slot: slot, workspace: &workspace, to: &unused)
            let marks = workspace.neverIndexed
            guard let out = client.openStream() else { preconditionFailure("no slot") }
            relayed = []
            let isSent = client.sendHead(
                slot: out, text.span, endStream: true, neverIndexed: marks, workspace: &workspace, to: &relayed)
            precondition(isSent, "a decoded head cannot be encoded")
            precondition(relayed.count <= HTTP2Connection.headBytesMax(text.count))
            let (again, copy) = read(&second, relayed, &workspace)
            guard case .head(let slot, _) = again else { preconditionFailure("an encoded head cannot be decoded") }
            precondition(lowerCased(copy) == lowerCased(text), "another head than was sent")
            precondition(workspace.neverIndexed & marks == marks, "a mark was lost")
            second.release(slot: slot, workspace: &workspace, to: &unused)
            client.release(slot: out, workspace: &workspace, to: &unused)
        default: break
        }
    }
    return 0
}

/// Only the value of `Host` moves: it is written first.
private func lowerCased(_ text: [UInt8]) -> [[UInt8]] {
    var lines = text.split(separator: 10).map { $0.map { 65...90 ~= $0 ? $0 | 0x20 : $0 } }
    lines[1...].sort { $0.lexicographicallyPrecedes($1) }
    return lines
}

/// The first event that is more than a reply, and the text of a head.
private func read(
    _ connection: inout HTTP2Connection, _ bytes: [UInt8], _ workspace: inout HTTP2Workspace
) -> (event: HTTP2Connection.Event, text: [UInt8]) {
    var position = 0
    var sent: [UInt8] = []
    while true {
        let event = connection.next(
            bytes.span, position: &position, end: bytes.count, now: .zero, workspace: &workspace, to: &sent)
        if case .replied = event { continue }
        var text: [UInt8] = []
        if case .head = event { workspace.appendHeadText(to: &text) }
        return (event, text)
    }
}
