import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoiseRouting

/// Instructions of the HTTP codecs per exchange, for callgrind: `Benchmarks/Codec/instructions.sh`.
///
///     codec-bench parse N    reads one request head of a browser and one answer head, N times
///     codec-bench copy N     writes both heads again for the next hop, N times
///     codec-bench h2 N       reads the same request as an HTTP/2 server, which it was sent before, and answers with the
///                            same head and the frame header of 1 KiB, N times
///     codec-bench write N    writes a request id, three numbers and two literals, N times
///
/// What two values of N differ by is what they cost: exact, whatever else runs on the machine.
@main struct CodecBench {
    static let request = """
        GET /1k HTTP/1.1\r
        Host: bench.local:8080\r
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r
        Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r
        Accept-Language: en-US,en;q=0.5\r
        Accept-Encoding: gzip, deflate\r
        Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r
        Referer: http://bench.local/index.html\r
        \r

        """
    static let answer = """
        HTTP/1.1 200 OK\r
        Server: nginx/1.22.1\r
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r
        Content-Type: text/plain\r
        Content-Length: 1024\r
        Connection: keep-alive\r
        \r

        """

    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let count = Int(arguments[2]) else {
            print("usage: codec-bench parse|copy|h2|write N")
            return
        }
        switch arguments[1] {
        case "parse": parse(count)
        case "copy": copy(count)
        case "h2": http2(count)
        case "write": write(count)
        default: print("parse, copy, h2 or write?")
        }
    }

    /// As a connection does it: one value for all heads, bytes in one of the loop's buffers.
    @inline(never) static func parse(_ count: Int) {
        let pool = BufferPool()
        let (input, output) = (pool.takeStandard(), pool.takeStandard())
        input.write(Array(request.utf8).span, at: 0)
        output.write(Array(answer.utf8).span, at: 0)
        let limits = HeadLimits()
        var head = RequestHead()
        var reply = ResponseHead()
        var fields = 0
        for _ in 0..<count {
            head.reset()
            reply.reset()
            let first = head.parse(input.bytes(0, request.utf8.count), from: 0, limits: limits)
            let second = reply.parse(
                output.bytes(0, answer.utf8.count), from: 0, limits: limits, requestMethod: head.method)
            precondition(first == .complete && second == .complete && reply.framing == .length(1024))
            fields += head.fields.count + reply.fields.count
        }
        print("\(fields) fields")
    }

    @inline(never) static func copy(_ count: Int) {
        let pool = BufferPool()
        let (input, output, target) = (pool.takeStandard(), pool.takeStandard(), pool.takeStandard())
        input.write(Array(request.utf8).span, at: 0)
        output.write(Array(answer.utf8).span, at: 0)
        var head = RequestHead()
        var reply = ResponseHead()
        let (asked, answered) = (input.bytes(0, request.utf8.count), output.bytes(0, answer.utf8.count))
        let first = head.parse(asked, from: 0, limits: HeadLimits())
        let second = reply.parse(answered, from: 0, limits: HeadLimits(), requestMethod: .get)
        precondition(first == .complete && second == .complete)
        let dropped: FieldSet = [FieldSet(.contentLength), FieldSet(.xForwardedFor), FieldSet(.xRequestID)]
        var bytes = 0
        for _ in 0..<count {
            var writer = BufferWriter(target, at: 0)
            precondition(head.beginsPlainly && reply.hasPlainLine)
            head.fields.copy(
                asked, from: head.headStart, to: head.fieldsEnd, dropping: dropped, dropsTwins: true, to: &writer)
            reply.fields.copy(
                answered, from: reply.headStart, to: reply.fieldsEnd, dropping: [], dropsTwins: false, to: &writer)
            bytes += writer.end
        }
        print("\(bytes) bytes")
    }

    @inline(never) static func http2(_ count: Int) {
        let pool = BufferPool()
        let (input, output) = (pool.takeStandard(), pool.takeStandard())
        let (server, client) = (
            RawCell(HTTP2Connection(role: .server, settings: HTTP2LocalSettings())),
            RawCell(HTTP2Connection(role: .client, settings: HTTP2LocalSettings()))
        )
        let workspace = RawCell(HTTP2Workspace())
        let text = Array(request.utf8)
        output.write(Array(answer.utf8).span, at: 2048)
        let reply = output.bytes(2048, 2048 + answer.utf8.count)
        var writer = BufferWriter(input, at: 0)
        client.value.start(workspace: &workspace.value, to: &writer)
        // Until every line that may be indexed is.
        var start = 0
        for _ in 0..<3 {
            start = writer.end
            guard let slot = client.value.openStream() else { return }
            precondition(
                client.value.sendHead(slot: slot, text.span, endStream: true, workspace: &workspace.value, to: &writer))
        }
        var position = 0
        let end = writer.end
        var stream: UInt32 = 5
        var bytes = 0
        var left = count + 3
        while left > 0 {
            writer = BufferWriter(output, at: 0)
            let event = server.value.next(
                input.bytes(0, end), position: &position, end: end, now: .zero, workspace: &workspace.value, to: &writer
            )
            switch event {
            case .head(let slot, _):
                workspace.value.appendHeadText(to: &writer)
                bytes += writer.end
                writer = BufferWriter(output, at: 0)
                precondition(
                    server.value.sendHead(slot: slot, reply, endStream: false, workspace: &workspace.value, to: &writer)
                )
                server.value.sendDataHeader(
                    slot: slot, count: min(1024, server.value.sendRoom(slot: slot)), endStream: true, to: &writer)
                server.value.release(slot: slot, workspace: &workspace.value, to: &writer)
                bytes += writer.end
                left -= 1
            case .needMore:
                // The last head again, as the next stream, and room for its answer.
                stream += 2
                for byte in 0..<4 {
                    input[start + 5 + byte] = UInt8(truncatingIfNeeded: stream >> UInt32(24 - 8 * byte))
                }
                position = start
            default: break
            }
        }
        print("\(bytes) bytes")
    }

    @inline(never) static func write(_ count: Int) {
        let pool = BufferPool()
        let buffer = pool.takeStandard()
        var bytes = 0
        for round in 0..<count {
            var writer = BufferWriter(buffer, at: 0)
            writer.append(text: "X-Request-Id: ")
            RequestIDRules.appendRequestID(0x0123_4567_89AB_CDEF &* UInt64(round), ~UInt64(round), to: &writer)
            writer.append(text: "\r\nX-Forwarded-Port: ")
            writer.appendDecimal(UInt(8080))
            writer.appendDecimal(UInt(200))
            writer.appendDecimal(UInt(1024 + round & 7))
            bytes += writer.end
        }
        print("\(bytes) bytes")
    }
}
