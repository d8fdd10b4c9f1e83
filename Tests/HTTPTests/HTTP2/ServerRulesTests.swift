import PoiseHTTP
import PoiseModel
import Testing

/// Literals without indexing, without Huffman code: fields as written, wrong ones too.
func block(_ fields: [(String, String)]) -> [UInt8] {
    var block: [UInt8] = []
    for (name, value) in fields {
        block += [0, UInt8(name.utf8.count)]
        block += Array(name.utf8)
        block.append(UInt8(bytes(value).count))
        block += bytes(value)
    }
    return block
}

let getFields: [(String, String)] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]
let postFields: [(String, String)] = [(":method", "POST")] + getFields.dropFirst()

func headers(_ stream: UInt32 = 1, _ fields: [(String, String)] = getFields, end: Bool = true) -> Frame {
    Frame(type: 1, flags: end ? 5 : 4, stream: stream, payload: block(fields))
}

func data(_ stream: UInt32 = 1, _ content: [UInt8] = [120], end: Bool = false) -> Frame {
    Frame(type: 0, flags: end ? 1 : 0, stream: stream, payload: content)
}

func settings(_ entries: [(UInt16, UInt32)] = []) -> Frame {
    Frame(type: 4, payload: entries.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] + big($1) })
}

func windowUpdate(_ stream: UInt32, _ count: UInt32) -> Frame { Frame(type: 8, stream: stream, payload: big(count)) }

/// What a peer must see after it sent some frames.
enum Outcome: Equatable {
    case fine
    /// GOAWAY with this code.
    case connection(HTTP2ErrorCode)
    /// RST_STREAM with this code on stream 1, and the connection goes on.
    case stream(HTTP2ErrorCode)
}

/// A rule of an RFC that a peer can see kept, by its section.
struct Rule: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let frames: [Frame]
    let outcome: Outcome

    init(_ name: String, _ frames: [Frame], _ outcome: Outcome) {
        (testDescription, self.frames, self.outcome) = (name, frames, outcome)
    }
}

func check(_ rule: Rule, _ endpoint: Endpoint, _ sent: [UInt8]) {
    let answers = frames(sent)
    let goAway = answers.last { $0.type == 7 }
    let resets = answers.filter { $0.type == 3 }
    switch rule.outcome {
    case .fine:
        #expect(goAway == nil)
        #expect(resets.isEmpty)
    case .connection(let code):
        #expect(goAway?.payload.suffix(4) == big(code.number)[...])
        #expect(endpoint.receive(Frame(type: 6, payload: [UInt8](repeating: 1, count: 8)).bytes).isEmpty)
        #expect(endpoint.takeSent().isEmpty, "nothing is answered after GOAWAY")
    case .stream(let code):
        #expect(goAway == nil)
        #expect(resets == [Frame(type: 3, stream: 1, payload: big(code.number))])
        _ = endpoint.receive(Frame(type: 6, payload: [UInt8](repeating: 1, count: 8)).bytes)
        #expect(frames(endpoint.takeSent()).contains { $0.type == 6 && $0.flags == 1 }, "the connection goes on")
    }
}

@Suite("HTTP/2 rules that a client can see a server keep")
struct ServerRulesTests {
    static let rules: [Rule] = [
        Rule("§4.1 unknown frame types are ignored", [Frame(type: 0xBB, payload: [1, 2]), headers()], .fine),
        Rule(
            "§4.1 the reserved bit is ignored",
            [Frame(type: 1, flags: 5, stream: 0x8000_0001, payload: block(getFields))], .fine),
        Rule(
            "§4.1 undefined flags are ignored", [Frame(type: 6, flags: 0xFE, payload: [UInt8](repeating: 0, count: 8))],
            .fine),
        Rule(
            "§4.2 a frame above 16,384 bytes is a FRAME_SIZE_ERROR", [data(1, [UInt8](repeating: 0, count: 16_385))],
            .connection(.frameSizeError)),
        Rule(
            "§4.3 a block that does not decode is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x80])], .connection(.compressionError)),
        Rule(
            "§4.3 a block that is cut off is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x00, 0x05, 0x61])], .connection(.compressionError)),
        Rule(
            "§4.3 another frame between HEADERS and CONTINUATION is a PROTOCOL_ERROR",
            [Frame(type: 1, flags: 1, stream: 1, payload: block(getFields)), data(1)], .connection(.protocolError)),
        Rule(
            "§4.3 an unknown frame between HEADERS and CONTINUATION too",
            [Frame(type: 1, flags: 1, stream: 1, payload: block(getFields)), Frame(type: 0xBB)],
            .connection(.protocolError)),
        Rule("§5.1 idle: DATA is a PROTOCOL_ERROR", [data(1)], .connection(.protocolError)),
        Rule(
            "§5.1 idle: RST_STREAM is a PROTOCOL_ERROR", [Frame(type: 3, stream: 1, payload: big(8))],
            .connection(.protocolError)),
        Rule("§5.1 idle: WINDOW_UPDATE is a PROTOCOL_ERROR", [windowUpdate(1, 1)], .connection(.protocolError)),
        Rule("§5.1 idle: PRIORITY is allowed", [Frame(type: 2, stream: 1, payload: [0, 0, 0, 0, 0])], .fine),
        Rule("§5.1 half-closed (remote): DATA is STREAM_CLOSED", [headers(), data()], .stream(.streamClosed)),
        Rule("§5.1 half-closed (remote): HEADERS is STREAM_CLOSED", [headers(), headers()], .stream(.streamClosed)),
        Rule(
            "§5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM are allowed",
            [
                headers(), windowUpdate(1, 1), Frame(type: 2, stream: 1, payload: [0, 0, 0, 0, 0]),
                Frame(type: 3, stream: 1, payload: big(8)),
            ], .fine),
        Rule(
            "§5.1 closed by RST_STREAM: WINDOW_UPDATE and RST_STREAM mean nothing",
            [
                headers(), Frame(type: 3, stream: 1, payload: big(8)), windowUpdate(1, 1),
                Frame(type: 3, stream: 1, payload: big(8)),
            ], .fine),
        Rule(
            "§5.1 closed by RST_STREAM: DATA is STREAM_CLOSED",
            [headers(1, postFields, end: false), Frame(type: 3, stream: 1, payload: big(8)), data()],
            .stream(.streamClosed)),
        Rule(
            "§5.1 after our reset, frames that were on their way mean nothing",
            [headers(1, [("x", "y")], end: false), data(), headers(1, [("x", "y")]), windowUpdate(1, 0)],
            .stream(.protocolError)),
        Rule("§5.1.1 a stream with an even number is a PROTOCOL_ERROR", [headers(2)], .connection(.protocolError)),
        Rule(
            "§5.1.1 a stream with a lower number is a PROTOCOL_ERROR", [headers(5), headers(3)],
            .connection(.protocolError)),
        Rule("§6.1 DATA on stream 0 is a PROTOCOL_ERROR", [Frame(type: 0, payload: [1])], .connection(.protocolError)),
        Rule(
            "§6.1 padding as long as the payload is a PROTOCOL_ERROR",
            [headers(1, postFields, end: false), Frame(type: 0, flags: 8, stream: 1, payload: [2, 1])],
            .connection(.protocolError)),
        Rule(
            "§6.1 padding is allowed",
            [headers(1, postFields, end: false), Frame(type: 0, flags: 9, stream: 1, payload: [2, 1, 0, 0])], .fine),
        Rule(
            "§6.1 nothing but padding is allowed",
            [headers(1, postFields, end: false), Frame(type: 0, flags: 9, stream: 1, payload: [2, 0, 0])], .fine),
        Rule(
            "§6.1 a padded frame without the length is a FRAME_SIZE_ERROR",
            [headers(1, postFields, end: false), Frame(type: 0, flags: 8, stream: 1)], .connection(.frameSizeError)),
        Rule("§6.2 HEADERS on stream 0 is a PROTOCOL_ERROR", [headers(0)], .connection(.protocolError)),
        Rule(
            "§6.2 padding of a head",
            [Frame(type: 1, flags: 13, stream: 1, payload: [3] + block(getFields) + [0, 0, 0])], .fine),
        Rule(
            "§6.2 padding longer than the head is a PROTOCOL_ERROR",
            [Frame(type: 1, flags: 13, stream: 1, payload: [200] + block(getFields))], .connection(.protocolError)),
        Rule(
            "§6.2 the priority of a head is skipped",
            [Frame(type: 1, flags: 0x25, stream: 1, payload: [0, 0, 0, 3, 9] + block(getFields))], .fine),
        Rule(
            "§6.2 a head too short for its priority is a FRAME_SIZE_ERROR",
            [Frame(type: 1, flags: 0x25, stream: 1, payload: [0, 0, 0, 3])], .connection(.frameSizeError)),
        Rule(
            "§6.3 PRIORITY on stream 0 is a PROTOCOL_ERROR", [Frame(type: 2, payload: [0, 0, 0, 0, 0])],
            .connection(.protocolError)),
        Rule(
            "§6.3 PRIORITY of another size is the stream's FRAME_SIZE_ERROR",
            [headers(1, postFields, end: false), Frame(type: 2, stream: 1, payload: [0, 0, 0, 0])],
            .stream(.frameSizeError)),
        Rule(
            "§6.4 RST_STREAM on stream 0 is a PROTOCOL_ERROR", [Frame(type: 3, payload: big(8))],
            .connection(.protocolError)),
        Rule(
            "§6.4 RST_STREAM of another size is a FRAME_SIZE_ERROR",
            [headers(), Frame(type: 3, stream: 1, payload: [0, 0, 0])], .connection(.frameSizeError)),
        Rule("§6.5 SETTINGS on a stream is a PROTOCOL_ERROR", [Frame(type: 4, stream: 1)], .connection(.protocolError)),
        Rule(
            "§6.5 an acknowledgement with a payload is a FRAME_SIZE_ERROR",
            [Frame(type: 4, flags: 1, payload: [0, 1, 0, 0, 0, 0])], .connection(.frameSizeError)),
        Rule(
            "§6.5 SETTINGS that are no multiple of 6 bytes are a FRAME_SIZE_ERROR",
            [Frame(type: 4, payload: [0, 1, 0])], .connection(.frameSizeError)),
        Rule("§6.5.2 ENABLE_PUSH above 1 is a PROTOCOL_ERROR", [settings([(2, 2)])], .connection(.protocolError)),
        Rule(
            "§6.5.2 INITIAL_WINDOW_SIZE above 2^31-1 is a FLOW_CONTROL_ERROR", [settings([(4, 0x8000_0000)])],
            .connection(.flowControlError)),
        Rule(
            "§6.5.2 MAX_FRAME_SIZE below 16,384 is a PROTOCOL_ERROR", [settings([(5, 16_383)])],
            .connection(.protocolError)),
        Rule(
            "§6.5.2 MAX_FRAME_SIZE above 2^24-1 is a PROTOCOL_ERROR", [settings([(5, 16_777_216)])],
            .connection(.protocolError)),
        Rule("§6.5.2 unknown settings are ignored", [settings([(0xFFFF, 7), (3, 0)])], .fine),
        Rule(
            "§6.6 PUSH_PROMISE from a client is a PROTOCOL_ERROR",
            [headers(), Frame(type: 5, flags: 4, stream: 1, payload: big(2))], .connection(.protocolError)),
        Rule(
            "§6.7 PING on a stream is a PROTOCOL_ERROR",
            [Frame(type: 6, stream: 1, payload: [UInt8](repeating: 0, count: 8))], .connection(.protocolError)),
        Rule(
            "§6.7 PING of another size is a FRAME_SIZE_ERROR", [Frame(type: 6, payload: [0, 0])],
            .connection(.frameSizeError)),
        Rule(
            "§6.8 GOAWAY on a stream is a PROTOCOL_ERROR", [Frame(type: 7, stream: 1, payload: big(0) + big(0))],
            .connection(.protocolError)),
        Rule(
            "§6.8 GOAWAY with more than 8 bytes is allowed",
            [Frame(type: 7, payload: big(0) + big(0) + [1, 2, 3]), headers()], .fine),
        Rule(
            "§6.8 GOAWAY that names a higher stream than before is a PROTOCOL_ERROR",
            [Frame(type: 7, payload: big(0) + big(0)), Frame(type: 7, payload: big(2) + big(0))],
            .connection(.protocolError)),
        Rule(
            "§6.9 WINDOW_UPDATE of another size is a FRAME_SIZE_ERROR", [Frame(type: 8, payload: [0, 0, 1])],
            .connection(.frameSizeError)),
        Rule(
            "§6.9 an increment of 0 on the connection is a PROTOCOL_ERROR", [windowUpdate(0, 0)],
            .connection(.protocolError)),
        Rule(
            "§6.9 an increment of 0 on a stream is the stream's PROTOCOL_ERROR", [headers(), windowUpdate(1, 0)],
            .stream(.protocolError)),
        Rule(
            "§6.9.1 a window of the connection above 2^31-1 is a FLOW_CONTROL_ERROR", [windowUpdate(0, 0x7FFF_FFFF)],
            .connection(.flowControlError)),
        Rule(
            "§6.9.1 a window of a stream above 2^31-1 is the stream's FLOW_CONTROL_ERROR",
            [headers(), windowUpdate(1, 0x7FFF_FFFF)], .stream(.flowControlError)),
        Rule(
            "§6.9.2 SETTINGS that carry a window above 2^31-1 are a FLOW_CONTROL_ERROR",
            [headers(), windowUpdate(1, 1000), settings([(4, 0x7FFF_FFFF)])], .connection(.flowControlError)),
        Rule(
            "§6.9.1 more than the stream's window is a FLOW_CONTROL_ERROR",
            [headers(1, postFields, end: false)] + (0..<5).map { _ in data(1, [UInt8](repeating: 0, count: 16_000)) },
            .stream(.flowControlError)),
        Rule(
            "§6.10 CONTINUATION without HEADERS is a PROTOCOL_ERROR", [headers(), Frame(type: 9, flags: 4, stream: 1)],
            .connection(.protocolError)),
        Rule(
            "§6.10 CONTINUATION of another stream is a PROTOCOL_ERROR",
            [Frame(type: 1, flags: 1, stream: 1, payload: block(getFields)), Frame(type: 9, flags: 4, stream: 3)],
            .connection(.protocolError)),
        Rule(
            "§6.10 a head in three frames",
            [
                Frame(type: 1, flags: 1, stream: 1, payload: Array(block(getFields).prefix(7))),
                Frame(type: 9, stream: 1, payload: Array(block(getFields)[7..<12])),
                Frame(type: 9, flags: 4, stream: 1, payload: Array(block(getFields).dropFirst(12))),
            ], .fine),
        Rule(
            "§8.1 a trailer section without END_STREAM is malformed",
            [headers(1, postFields, end: false), headers(1, [("x", "y")], end: false)], .stream(.protocolError)),
        Rule("§8.1 trailers", [headers(1, postFields, end: false), data(), headers(1, [("x", "y")])], .fine),
        Rule(
            "§8.1.1 content above Content-Length is malformed",
            [headers(1, postFields + [("content-length", "1")], end: false), data(1, [1, 2])], .stream(.protocolError)),
        Rule(
            "§8.1.1 content below Content-Length is malformed",
            [headers(1, postFields + [("content-length", "2")], end: false), data(1, [1], end: true)],
            .stream(.protocolError)),
        Rule(
            "§8.1.1 no content where Content-Length has some is malformed",
            [headers(1, postFields + [("content-length", "2")])], .stream(.protocolError)),
        Rule(
            "§8.1.1 trailers before the content is complete are malformed",
            [headers(1, postFields + [("content-length", "2")], end: false), data(), headers(1, [("x", "y")])],
            .stream(.protocolError)),
        Rule(
            "§8.1.1 as much content as Content-Length says",
            [
                headers(1, postFields + [("content-length", "3")], end: false), data(1, [1, 2]),
                data(1, [3], end: true),
            ], .fine),
        Rule(
            "§8.1.1 two Content-Length fields are malformed",
            [headers(1, postFields + [("content-length", "0"), ("content-length", "0")])], .stream(.protocolError)),
        Rule(
            "§8.1.1 a Content-Length that is no number is malformed",
            [headers(1, postFields + [("content-length", "+1")])], .stream(.protocolError)),
        Rule(
            "§8.2.1 an upper-case name is malformed", [headers(1, getFields + [("X-a", "b")])], .stream(.protocolError)),
        Rule(
            "§8.2.1 a name with a space is malformed", [headers(1, getFields + [("x a", "b")])], .stream(.protocolError)
        ),
        Rule(
            "§8.2.1 a name with a colon inside is malformed", [headers(1, getFields + [("x:a", "b")])],
            .stream(.protocolError)),
        Rule("§8.2.1 an empty name is malformed", [headers(1, getFields + [("", "b")])], .stream(.protocolError)),
        Rule(
            "§8.2.1 a name of 0x80 and above is malformed",
            [Frame(type: 1, flags: 5, stream: 1, payload: block(getFields) + [0, 1, 0xC3, 1, 0x61])],
            .stream(.protocolError)),
        Rule("§8.2.1 a value with LF is malformed", [headers(1, getFields + [("x", "a\nb")])], .stream(.protocolError)),
        Rule("§8.2.1 a value with CR is malformed", [headers(1, getFields + [("x", "a\rb")])], .stream(.protocolError)),
        Rule(
            "§8.2.1 a value with NUL is malformed", [headers(1, getFields + [("x", "a\u{0}b")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.1 a value that begins with a space is malformed", [headers(1, getFields + [("x", " a")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.1 a value that ends with a tab is malformed", [headers(1, getFields + [("x", "a\t")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.1 an empty value, obs-text and a tab inside are fine",
            [headers(1, getFields + [("x", ""), ("y", "\u{E9}\t.")])], .fine),
        Rule(
            "§8.2.2 Connection is malformed", [headers(1, getFields + [("connection", "close")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.2 Proxy-Connection is malformed", [headers(1, getFields + [("proxy-connection", "close")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.2 Keep-Alive is malformed", [headers(1, getFields + [("keep-alive", "timeout=1")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.2 Transfer-Encoding is malformed", [headers(1, getFields + [("transfer-encoding", "chunked")])],
            .stream(.protocolError)),
        Rule("§8.2.2 Upgrade is malformed", [headers(1, getFields + [("upgrade", "h2c")])], .stream(.protocolError)),
        Rule(
            "§8.2.2 TE other than trailers is malformed", [headers(1, getFields + [("te", "gzip")])],
            .stream(.protocolError)),
        Rule("§8.2.2 TE: trailers is fine", [headers(1, getFields + [("te", "trailers")])], .fine),
        Rule(
            "§8.3 a pseudo-field behind a field is malformed",
            [headers(1, [(":method", "GET"), (":scheme", "http"), ("x", "y"), (":path", "/")])], .stream(.protocolError)
        ),
        Rule(
            "§8.3 an unknown pseudo-field is malformed", [headers(1, getFields + [(":x", "y")])],
            .stream(.protocolError)),
        Rule(
            "§8.3 a repeated pseudo-field is malformed", [headers(1, getFields + [(":path", "/")])],
            .stream(.protocolError)),
        Rule(
            "§8.3 a pseudo-field of answers is malformed in a request", [headers(1, getFields + [(":status", "200")])],
            .stream(.protocolError)),
        Rule(
            "§8.3 a pseudo-field in trailers is malformed",
            [headers(1, postFields, end: false), headers(1, [(":path", "/")])], .stream(.protocolError)),
        Rule("§8.3.1 :method is needed", [headers(1, Array(getFields.dropFirst()))], .stream(.protocolError)),
        Rule(
            "§8.3.1 :scheme is needed", [headers(1, [(":method", "GET"), (":path", "/"), (":authority", "a")])],
            .stream(.protocolError)),
        Rule(
            "§8.3.1 :path is needed", [headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a")])],
            .stream(.protocolError)),
        Rule(
            "§8.3.1 an empty :path is malformed",
            [headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 a :path without a slash is malformed",
            [headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "a")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 a :path of * is malformed but for OPTIONS",
            [headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "*")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 OPTIONS *",
            [headers(1, [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")])], .fine),
        Rule(
            "§8.3.1 a :path with a space is malformed: it would end the target of HTTP/1.1",
            [headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 a :method that is no token is malformed",
            [headers(1, [(":method", "GET /x"), (":scheme", "http"), (":path", "/")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 user information in :authority is malformed",
            [headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "u@a")])],
            .stream(.protocolError)),
        Rule(
            "§8.3.1 a :scheme other than http and https is malformed",
            [headers(1, [(":method", "GET"), (":scheme", "ftp"), (":path", "/")])], .stream(.protocolError)),
        Rule(
            "§8.3.1 a Host that differs from :authority is malformed", [headers(1, getFields + [("host", "b.test")])],
            .stream(.protocolError)),
        Rule("§8.3.1 a Host that says the same is fine", [headers(1, getFields + [("host", "A.test")])], .fine),
        Rule(
            "§8.3.1 two Host fields are malformed",
            [headers(1, Array(getFields.prefix(3)) + [("host", "a"), ("host", "a")])], .stream(.protocolError)),
        Rule(
            "§8.5 CONNECT with :path is malformed",
            [headers(1, [(":method", "CONNECT"), (":path", "/"), (":authority", "a:1")])], .stream(.protocolError)),
        Rule(
            "§8.5 CONNECT without :authority is malformed", [headers(1, [(":method", "CONNECT")])],
            .stream(.protocolError)),
        Rule(
            "RFC 8441 §4 :protocol that was not offered is malformed",
            [
                headers(
                    1,
                    [
                        (":method", "CONNECT"), (":protocol", "websocket"), (":authority", "a"), (":path", "/"),
                        (":scheme", "http"),
                    ])
            ], .stream(.protocolError)),
        Rule(
            "RFC 9218 §2.1 NO_RFC7540_PRIORITIES above 1 is a PROTOCOL_ERROR", [settings([(9, 2)])],
            .connection(.protocolError)),
        Rule(
            "RFC 9218 §7.1 PRIORITY_UPDATE on a stream is a PROTOCOL_ERROR",
            [headers(), Frame(type: 16, stream: 1, payload: big(1) + Array("u=1".utf8))], .connection(.protocolError)),
        Rule(
            "RFC 9218 §7.1 PRIORITY_UPDATE of stream 0 is a PROTOCOL_ERROR", [Frame(type: 16, payload: big(0))],
            .connection(.protocolError)),
        Rule(
            "RFC 9218 §7.1 PRIORITY_UPDATE below 4 bytes is a FRAME_SIZE_ERROR", [Frame(type: 16, payload: [0, 0])],
            .connection(.frameSizeError)),
        Rule(
            "RFC 9218 §7.1 PRIORITY_UPDATE of a stream that is not open yet is allowed",
            [Frame(type: 16, payload: big(1) + Array("u=1".utf8)), headers()], .fine),
        Rule(
            "RFC 7541 §4.2 a table above what SETTINGS allow is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x3F, 0xE2, 0x1F])], .connection(.compressionError)),
        Rule(
            "RFC 7541 §4.2 a change of the table's size behind a field is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x82, 0x20])], .connection(.compressionError)),
        Rule(
            "RFC 7541 §6.1 index 0 is a COMPRESSION_ERROR", [Frame(type: 1, flags: 5, stream: 1, payload: [0x80])],
            .connection(.compressionError)),
        Rule(
            "RFC 7541 §2.3.3 an index behind the tables is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0xBE])], .connection(.compressionError)),
        Rule(
            "RFC 7541 §5.1 an integer that is too large is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])],
            .connection(.compressionError)),
        Rule(
            "RFC 7541 §5.2 padding of 8 bits is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x00, 0x82, 0x1F, 0xFF, 0x00])],
            .connection(.compressionError)),
        Rule(
            "RFC 7541 §5.2 padding with a 0 is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x00, 0x81, 0x1E, 0x00])], .connection(.compressionError)),
        Rule(
            "RFC 7541 §5.2 EOS in a string is a COMPRESSION_ERROR",
            [Frame(type: 1, flags: 5, stream: 1, payload: [0x00, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x00])],
            .connection(.compressionError)),
    ]

    @Test("rule", arguments: rules)
    func keeps(rule: Rule) {
        for step in [Int.max, 1] {
            let server = Endpoint(.server)
            _ = server.receive(preface + settings().bytes + Frame(type: 4, flags: 1).bytes)
            _ = server.takeSent()
            let bytes = rule.frames.flatMap(\.bytes)
            // All at once, and byte by byte: the result is the same.
            if step == 1 {
                for byte in bytes { _ = server.receive([byte]) }
            } else {
                _ = server.receive(bytes)
            }
            check(rule, server, server.takeSent())
        }
    }

    @Test(
        "§3.4 a connection that does not begin with the preface and SETTINGS is refused",
        arguments: [
            Array("GET / HTTP/1.1\r\n\r\n".utf8), preface + headers().bytes, preface + Frame(type: 4, flags: 1).bytes,
        ])
    func preambles(bytes: [UInt8]) {
        let server = Endpoint(.server)
        _ = server.takeSent()
        guard case .refusedConnection(.protocolError, _) = server.receive(bytes).last?.event else {
            Issue.record("not refused")
            return
        }
        #expect(frames(server.takeSent()) == [Frame(type: 7, payload: big(0) + big(1))])
    }

    @Test("§6.5.3 SETTINGS are acknowledged, §6.7 a PING is answered with its payload")
    func acknowledges() {
        let server = Endpoint(.server)
        #expect(frames(server.takeSent()).map(\.type) == [4, 8])
        let ping = Frame(type: 6, payload: [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(server.receive(preface + settings([(3, 7)]).bytes + ping.bytes).map(\.event) == [.settingsChanged])
        #expect(
            frames(server.takeSent()) == [Frame(type: 4, flags: 1), Frame(type: 6, flags: 1, payload: ping.payload)])
        #expect(server.peerStreamsMax == 7)
        #expect(
            server.receive(Frame(type: 6, flags: 1, payload: ping.payload).bytes).map(\.event)
                == [.pingAcknowledged(0x0102_0304_0506_0708)])
        #expect(server.takeSent().isEmpty, "an acknowledgement is not answered")
    }

    @Test("§5.1.2 a stream above the limit is REFUSED_STREAM, and another one is taken when one has ended")
    func limit() {
        var limits = HTTP2LocalSettings()
        limits.streamsMax = 2
        let server = Endpoint(.server, limits)
        _ = server.receive(preface + settings().bytes)
        _ = server.takeSent()
        let events = server.receive(headers(1).bytes + headers(3).bytes + headers(5).bytes).map(\.event)
        #expect(events.last == .streamRefused(.refusedStream, .refusedStreams))
        #expect(frames(server.takeSent()) == [Frame(type: 3, stream: 5, payload: big(7))])
        server.sendHead(0, "HTTP/1.1 204 No Content\r\n\r\n", endStream: true)
        server.release(0)
        _ = server.takeSent()
        #expect(server.receive(headers(7).bytes).map(\.event) == [.head(slot: 0, endStream: true)])
        #expect(server.openStreams == 2)
    }
}
