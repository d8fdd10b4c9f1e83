import PoiseHTTP
import PoiseModel
import Testing

/// Something that a peer may do, over and over.
struct Habit: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let fault: HTTP2Fault
    /// Frames of the attack's n-th round; streams have the number 2n + 1.
    let round: @Sendable (UInt32) -> [Frame]
    /// Rounds after which it must have come to an end, without time going by.
    let roundsMax: Int

    init(_ name: String, _ fault: HTTP2Fault, within roundsMax: Int, _ round: @escaping @Sendable (UInt32) -> [Frame]) {
        (testDescription, self.fault, self.roundsMax, self.round) = (name, fault, roundsMax, round)
    }
}

@Suite("Misbehaviour ends a connection with ENHANCE_YOUR_CALM")
struct MisbehaviourTests {
    static let habits: [Habit] = [
        Habit("rapid reset", .rapidReset, within: 501) { n in
            [headers(2 * n + 1), Frame(type: 3, stream: 2 * n + 1, payload: big(8))]
        },
        Habit("made you reset: zero window update", .madeYouReset, within: 201) { n in
            [headers(2 * n + 1), windowUpdate(2 * n + 1, 0)]
        },
        Habit("made you reset: window overflow", .madeYouReset, within: 201) { n in
            [headers(2 * n + 1), windowUpdate(2 * n + 1, 0x7FFF_FFFF)]
        },
        Habit("made you reset: content on a half-closed stream", .madeYouReset, within: 201) { n in
            [headers(2 * n + 1), data(2 * n + 1)]
        },
        Habit("made you reset: malformed heads", .madeYouReset, within: 201) { n in [headers(2 * n + 1, [("x", "y")])]
        },
        Habit("CONTINUATION without bytes", .continuationFlood, within: 252) { n in
            n == 0 ? [Frame(type: 1, flags: 1, stream: 1)] : [Frame(type: 9, stream: 1)]
        },
        Habit("CONTINUATION with a byte each", .continuationFlood, within: 502) { n in
            n == 0 ? [Frame(type: 1, flags: 1, stream: 1)] : [Frame(type: 9, stream: 1, payload: [0x82])]
        },
        Habit("CONTINUATION with 16 KiB each", .blockTooLarge, within: 5) { n in
            let payload = [UInt8](repeating: 0x82, count: 16_384)
            return n == 0
                ? [Frame(type: 1, flags: 1, stream: 1, payload: payload)]
                : [Frame(type: 9, stream: 1, payload: payload)]
        },
        Habit("SETTINGS", .settingsFlood, within: 101) { _ in [settings()] },
        Habit("SETTINGS of 16 KiB", .settingsFlood, within: 2) { _ in
            [settings([(UInt16, UInt32)](repeating: (4, 65_535), count: 2_730))]
        },
        Habit("PING", .pingFlood, within: 2_001) { _ in [Frame(type: 6, payload: [UInt8](repeating: 0, count: 8))] },
        Habit("acknowledgements of PINGs that nobody sent", .pingFlood, within: 2_001) { _ in
            [Frame(type: 6, flags: 1, payload: [UInt8](repeating: 0, count: 8))]
        },
        Habit("PRIORITY", .priorityFlood, within: 2_001) { n in
            [Frame(type: 2, stream: 2 * n + 1, payload: [0, 0, 0, 0, 0])]
        },
        Habit("PRIORITY_UPDATE", .priorityFlood, within: 2_001) { n in
            [Frame(type: 16, payload: big(2 * n + 1) + Array("u=1".utf8))]
        },
        Habit("DATA without bytes", .emptyData, within: 1_002) { n in
            n == 0 ? [headers(1, postFields, end: false)] : [data(1, [])]
        },
        Habit("DATA of nothing but padding", .emptyData, within: 1_002) { n in
            n == 0 ? [headers(1, postFields, end: false)] : [Frame(type: 0, flags: 8, stream: 1, payload: [1, 0])]
        },
        Habit("DATA of one byte", .tinyData, within: 5_002) { n in
            n == 0 ? [headers(1, postFields, end: false)] : [data(1, [7])]
        },
        Habit("WINDOW_UPDATE of 1", .windowUpdateFlood, within: 5_001) { _ in [windowUpdate(0, 1)] },
        Habit("unknown frames", .unknownFrameFlood, within: 1_001) { _ in [Frame(type: 0xBB)] },
        Habit("heads that are too large", .headerBomb, within: 51) { n in
            [
                headers(
                    2 * n + 1,
                    getFields + [("x", String(repeating: "v", count: 120)), ("y", String(repeating: "v", count: 120))])
            ]
        },
        Habit("streams above the limit", .refusedStreams, within: 600) { n in
            [headers(2 * n + 1, postFields, end: false)]
        },
        Habit("changes of the table's size", .tableSizeFlood, within: 3) { n in
            [
                Frame(
                    type: 1, flags: 5, stream: 2 * n + 1,
                    payload: [UInt8](repeating: 0x20, count: 300) + block(getFields))
            ]
        },
    ]

    @Test("habit", arguments: habits)
    func ends(habit: Habit) {
        var limits = HTTP2LocalSettings()
        if habit.fault == .headerBomb { limits.headListBytesMax = 400 }
        let server = Endpoint(.server, limits)
        _ = server.receive(preface + settings().bytes + Frame(type: 4, flags: 1).bytes)
        var live: Set<Int> = []
        for round in 0..<UInt32(habit.roundsMax) {
            _ = server.takeSent()
            for happening in server.receive(habit.round(round).flatMap(\.bytes)) {
                switch happening.event {
                case .streamReset(let slot, _), .streamFailed(let slot, _, _), .headTooLarge(let slot, _, _):
                    server.release(slot)
                case .data(let slot, let range, _): server.consume(slot, range.count)
                case .head(let slot, _): live.insert(slot)
                case .refusedConnection(let code, let fault):
                    #expect(code == .enhanceYourCalm)
                    #expect(fault == habit.fault)
                    #expect(frames(server.takeSent()).last?.type == 7)
                    #expect(live.count <= limits.streamsMax, "streams of an attack are not kept")
                    return
                default: break
                }
            }
        }
        Issue.record("it goes on")
    }

    @Test("an HPACK bomb of few bytes ends before its fields are copied")
    func bomb() {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes)
        // An entry of nearly 4 KiB, and references to it: 64 MiB.
        var payload = block(getFields) + [0x40, 1, 0x78, 0x7F, 0x80 | 0x01, 30]
        payload += [UInt8](repeating: 0x61, count: 127 + 1 + 30 * 128)
        payload += [UInt8](repeating: 0xBE, count: 12_000)
        let events = server.receive(Frame(type: 1, flags: 5, stream: 1, payload: payload).bytes).map(\.event)
        #expect(events == [.refusedConnection(.enhanceYourCalm, .headerBomb)])
        #expect(server.headTextCount < 64 * 1024)
    }

    @Test("§10.5.1 a head that is somewhat too large can be answered, and the tables still agree")
    func largeHeads() {
        var limits = HTTP2LocalSettings()
        limits.headListBytesMax = 600
        limits.fieldCountMax = 3
        let server = Endpoint(.server, limits)
        _ = server.receive(preface + settings().bytes)
        func entering(_ name: String, _ value: String) -> [UInt8] {
            [0x40, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        let big = String(repeating: "v", count: 120)
        let large = block(getFields) + ["a", "b", "c"].flatMap { entering($0, big) }
        let many = block(getFields) + ["d", "e", "f", "g"].flatMap { entering($0, "1") }
        #expect(
            server.receive(Frame(type: 1, flags: 5, stream: 1, payload: large).bytes).map(\.event)
                == [.headTooLarge(slot: 0, endStream: true, .headTooLarge)])
        #expect(
            server.receive(Frame(type: 1, flags: 5, stream: 3, payload: many).bytes).map(\.event)
                == [.headTooLarge(slot: 1, endStream: true, .tooManyFields)])
        #expect(server.sendHead(0, "HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n", endStream: true))
        // The newest first: g, f, e, d, c, b, a.
        let indexed = Frame(type: 1, flags: 5, stream: 5, payload: block(getFields) + [0xBE, 0xC2])
        #expect(
            server.receive(indexed.bytes).map(\.text)
                == ["GET / HTTP/1.1\r\nHost: a.test\r\ng: 1\r\nc: \(big)\r\n\r\n"])
    }

    @Test("who never acknowledges the limit of streams cannot go beyond it for ever")
    func unaware() {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes)
        let limit = HTTP2LocalSettings().streamsMax
        for number in 0..<UInt32(limit + 1_600) {
            for happening in server.receive(headers(2 * number + 1, postFields, end: false).bytes) {
                guard case .refusedConnection(let code, let fault) = happening.event else { continue }
                #expect((code, fault) == (.enhanceYourCalm, .refusedStreams))
                #expect(number > UInt32(limit + 1_000), "what crosses our SETTINGS is forgiven")
                return
            }
        }
        Issue.record("it goes on")
    }

    @Test("what a peer has begun and owes the rest of is known, so that a clock can run on it")
    func awaited() {
        let server = Endpoint(.server)
        #expect(server.connection.awaitedHead == 0)
        _ = server.receive(preface)
        #expect(server.connection.awaitedHead == 0, "SETTINGS are part of it")
        _ = server.receive(settings().bytes)
        #expect(server.connection.awaitedHead == nil)
        let fields = block(getFields)
        let halves = [
            Frame(type: 1, flags: 1, stream: 1, payload: Array(fields.prefix(2))),
            Frame(type: 9, flags: 4, stream: 1, payload: Array(fields.dropFirst(2))),
        ]
        _ = server.receive(halves[0].bytes)
        #expect(server.connection.awaitedHead == 1)
        _ = server.receive(halves[1].bytes)
        #expect(server.connection.awaitedHead == nil)
        // A frame that is not there as a whole is a head that has begun too.
        _ = server.receive(Array(headers(3).bytes.dropLast()))
        #expect(server.connection.awaitedHead == 3)
    }

    @Test("a connection that its owner gives up says why, once, and reads nothing more")
    func failed() {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes + headers(1).bytes)
        _ = server.takeSent()
        server.fail(.enhanceYourCalm, .headTimeout)
        server.fail(.enhanceYourCalm, .headTimeout)
        let sent = frames(server.takeSent())
        #expect(sent.map(\.type) == [7])
        #expect(sent[0].payload == big(1) + big(11))
        #expect(server.receive(headers(3).bytes).isEmpty)
    }

    @Test("patience comes back with time")
    func refills() {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes)
        for second in 0..<600 {
            server.now = MonotonicTime(nanoseconds: Int64(second) * 1_000_000_000)
            for _ in 0..<400 {
                #expect(server.receive(Frame(type: 6, payload: [UInt8](repeating: 0, count: 8)).bytes).isEmpty)
            }
        }
        #expect(server.patience > 5_000)
    }

    @Test(
        "windows that open by a few bytes are paid from the patience, others by the content that they let through",
        arguments: [(1, 5_001), (63, 5_001), (64, 10_001), (127, 10_001), (128, nil), (16_384, nil)] as [(Int, Int?)])
    func drips(window: Int, roundsMax: Int?) {
        let server = Endpoint(.server)
        _ = server.receive(
            preface + settings([(4, UInt32(window))]).bytes + windowUpdate(0, 1 << 30).bytes + headers(1).bytes)
        server.sendHead(0, "HTTP/1.1 200 OK\r\n\r\n")
        let content = [UInt8](repeating: 7, count: window)
        for round in 1...20_000 {
            #expect(server.sendRoom(0) == window)
            server.sendData(0, content)
            _ = server.takeSent()
            for happening in server.receive(windowUpdate(1, UInt32(window)).bytes) {
                guard case .refusedConnection(let code, let fault) = happening.event else { continue }
                #expect((code, fault) == (.enhanceYourCalm, .windowUpdateFlood))
                #expect(round <= roundsMax ?? 0)
                return
            }
        }
        #expect(roundsMax == nil, "it goes on")
    }

    @Test("a browser that cancels a hundred requests now and then, a gRPC client, an eager reader: nobody is cut off")
    func honest() throws {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes + Frame(type: 4, flags: 1).bytes + windowUpdate(0, 1 << 30).bytes)
        var stream: UInt32 = 1
        for second in 0..<120 {
            server.now = MonotonicTime(nanoseconds: Int64(second) * 1_000_000_000)
            // A page is left: all that was asked for is cancelled. Every ten seconds.
            if second % 10 == 0 {
                for _ in 0..<100 {
                    let events = server.receive(
                        headers(stream).bytes + Frame(type: 3, stream: stream, payload: big(8)).bytes)
                    #expect(events.last?.event == .streamReset(slot: 0, .cancel))
                    server.release(0)
                    stream += 2
                }
            }
            // A thousand answers in small frames, each acknowledged by two window updates.
            for _ in 0..<100 {
                _ = server.receive(headers(stream).bytes)
                server.sendHead(0, "HTTP/1.1 200 OK\r\n\r\n")
                for part in 0..<10 {
                    server.sendData(0, [1, 2, 3], endStream: part == 9)
                    _ = server.receive(windowUpdate(0, 3).bytes + windowUpdate(stream, 3).bytes)
                }
                server.release(0)
                _ = server.takeSent()
                stream += 2
            }
            for _ in 0..<20 { _ = server.receive(Frame(type: 6, payload: [UInt8](repeating: 0, count: 8)).bytes) }
            #expect(server.patience > 5_000)
        }
    }
}
