import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoisePlatform

/// A target on a loop that speaks HTTP/2 without TLS, and takes the same steps for each request.
final class HTTP2Target: Channel {
    enum Step: Sendable {
        /// As HTTP/1.1 has it.
        case head(String, ends: Bool = false)
        /// So many bytes `x` and a text, in as many frames as the windows make of them.
        case content(filler: Int = 0, String = "", ends: Bool = true)
        /// Field lines, and with them the end.
        case trailers(String)
        case reset(HTTP2ErrorCode)
        /// Serves what has come, and nothing more.
        case goAway(HTTP2ErrorCode)
        /// Past the machine.
        case raw([UInt8])
        case finish
    }

    let port: UInt16
    /// Of requests, as HTTP/1.1 has them.
    fileprivate(set) var heads: [String] = []
    /// That probes sent.
    fileprivate(set) var goAways: [HTTP2ErrorCode] = []
    fileprivate(set) var resets: [HTTP2ErrorCode] = []
    /// How its connections ended, as the target saw it: 0 for FIN, or an errno.
    fileprivate(set) var ends: [CInt] = []
    fileprivate let steps: [Step]
    fileprivate let greets: Bool
    fileprivate let workspace = RawCell(HTTP2Workspace())

    /// - Parameter greets: `false` sends nothing but raw steps.
    init(_ steps: [Step], greets: Bool = true, loop: EventLoop) throws {
        (self.steps, self.greets) = (steps, greets)
        let socket = try Sockets.listen(on: .ip(IPAddress(v4: 0x7F00_0001), port: 0), sharesPort: false)
        port = Sockets.localAddress(of: socket.number)!.port
        super.init(loop: loop)
        open(socket)
        watch(.readable)
    }

    override func ready(_ readiness: Readiness) {
        while case .accepted(let accepted) = loop.accept(from: self) {
            _ = HTTP2TargetPeer(FileDescriptor(adopting: accepted.descriptor), of: self)
        }
    }
}

private final class HTTP2TargetPeer: Channel {
    private let target: HTTP2Target
    private var machine = HTTP2Connection(role: .server, settings: HTTP2LocalSettings())
    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private var steps: [HTTP2Target.Step] = []
    private var slot: Int?
    /// Of the first step, that has left.
    private var sentContent = 0

    init(_ socket: consuming FileDescriptor, of target: HTTP2Target) {
        self.target = target
        super.init(loop: target.loop)
        open(socket)
        if target.greets { machine.start(workspace: &target.workspace.value, to: &output) }
        watch([.readable, .writable])
    }

    override func ready(_ readiness: Readiness) {
        let buffer = loop.takeLargeBuffer()
        defer { loop.releaseBuffer(buffer) }
        while isOpen {
            let result = receive(into: buffer, 0, buffer.capacity)
            if result.isBlocked { break }
            if result.isEndOfStream || result.failure != nil {
                target.ends.append(result.failure ?? 0)
                return close()
            }
            input.append(buffer.bytes(0, result.count))
            readEvents()
        }
        guard isOpen else { return }
        takeSteps()
        while !output.isEmpty {
            let result = send(output.span)
            if result.isBlocked || result.failure != nil { return }
            output.removeFirst(result.count)
        }
    }

    private func readEvents() {
        var position = 0
        let bytes = input
        reading: while true {
            let event = machine.next(
                bytes.span, position: &position, end: bytes.count, now: loop.now, workspace: &target.workspace.value,
                to: &output)
            switch event {
            case .needMore, .refusedConnection: break reading
            case .head(let slot, _):
                var text: [UInt8] = []
                target.workspace.value.appendHeadText(to: &text)
                target.heads.append(String(decoding: text, as: UTF8.self))
                (self.slot, steps) = (slot, target.steps)
            case .streamReset(_, let code): target.resets.append(code)
            case .goAway(_, let code): target.goAways.append(code)
            default: break
            }
        }
        input.removeFirst(position)
        // Whoever does not greet does not answer greetings.
        if !target.greets { output = [] }
    }

    private func takeSteps() {
        guard let slot else { return }
        while let step = steps.first {
            switch step {
            case .head(let text, let ends):
                _ = machine.sendHead(
                    slot: slot, Array(text.utf8).span, endStream: ends, workspace: &target.workspace.value, to: &output)
            case .content(let filler, let text, let ends):
                guard sendContent(slot, Array(repeating: 0x78, count: filler) + Array(text.utf8), ends) else { return }
            case .trailers(let lines):
                _ = machine.sendTrailers(
                    slot: slot, Array("\(lines)\r\n".utf8).span, workspace: &target.workspace.value, to: &output)
            case .reset(let code): machine.reset(slot: slot, code, workspace: &target.workspace.value, to: &output)
            case .goAway(let code):
                machine.goAway(final: true, code, workspace: &target.workspace.value, to: &output)
            case .raw(let bytes): output += bytes
            case .finish:
                if !output.isEmpty { _ = send(output.span) }
                output = []
                shutdownWrite()
            }
            steps.removeFirst()
        }
    }

    /// - Returns: false while the windows have no room for all of it.
    private func sendContent(_ slot: Int, _ content: [UInt8], _ ends: Bool) -> Bool {
        while sentContent < content.count {
            let count = min(
                machine.sendRoom(slot: slot), machine.peerFrameBytesMax, content.count - sentContent)
            guard count > 0 else { return false }
            let next = sentContent + count
            machine.sendDataHeader(slot: slot, count: count, endStream: ends && next == content.count, to: &output)
            output.append(content.span.extracting(sentContent..<next))
            sentContent = next
        }
        sentContent = 0
        return true
    }
}
