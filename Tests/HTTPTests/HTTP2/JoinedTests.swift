import PoiseHTTP
import PoiseModel
import Testing

/// A client and a server that send each other bodies, with random cuts, windows, sizes, resets and changes of settings.
@Suite("Two HTTP/2 machines, joined")
struct JoinedTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    /// One side's view of an exchange: what is to be sent, and what came.
    final class Side {
        let endpoint: Endpoint
        var outgoing: [Int: [UInt8]] = [:]
        var incoming: [Int: [UInt8]] = [:]
        var unread: [Int: Int] = [:]
        var ended: Set<Int> = []
        var gone: Set<Int> = []
        init(_ endpoint: Endpoint) { self.endpoint = endpoint }

        func forget(_ slot: Int) {
            (outgoing[slot], incoming[slot], unread[slot]) = (nil, nil, nil)
            ended.remove(slot)
            endpoint.release(slot)
        }
    }

    @Test("bytes arrive whole and in order, nobody waits for ever, and both count the same streams", arguments: 1...40)
    func exchanges(seed: UInt64) throws {
        var random = Random(state: seed)
        var clientSettings = HTTP2LocalSettings()
        var serverSettings = HTTP2LocalSettings()
        clientSettings.windowBytesMax = Int.random(in: 65_535...200_000, using: &random)
        serverSettings.windowBytesMax = Int.random(in: 65_535...200_000, using: &random)
        serverSettings.streamsMax = Int.random(in: 1...20, using: &random)
        let client = Side(Endpoint(.client, clientSettings))
        let server = Side(Endpoint(.server, serverSettings))
        let requests = 60
        var started = 0
        var finished = 0
        var cancelled = 0
        /// By the request's number, which is in its path and in the bytes of both bodies.
        var expected: [Int: Int] = [:]
        var numbers: [Int: Int] = [:]
        var idleRounds = 0
        var waves = 0
        while finished + cancelled < requests {
            waves += 1
            try #require(waves < 200_000 && idleRounds < 1_000, "seed \(seed): nobody gets on")
            var moved = false
            if started < requests, Bool.random(using: &random), let slot = client.endpoint.openStream() {
                let size = Int.random(in: 0...90_000, using: &random)
                let head =
                    "POST /\(started) HTTP/1.1\r\nHost: a\r\ncontent-length: \(size)\r\nx-pad: \(started % 7)\r\n\r\n"
                #expect(client.endpoint.sendHead(slot, head))
                client.outgoing[slot] = [UInt8](repeating: UInt8(started & 255), count: size)
                client.incoming[slot] = []
                numbers[slot] = started
                expected[started] = size
                started += 1
                moved = true
            }
            for side in [client, server] {
                for slot in side.outgoing.keys.sorted() where Bool.random(using: &random) {
                    moved = send(side, slot, &random) || moved
                }
                for slot in side.unread.keys.sorted() where Bool.random(using: &random) {
                    let held = side.unread[slot] ?? 0
                    let count = held < 100 ? held : Int.random(in: 1...held, using: &random)
                    guard count > 0 else { continue }
                    side.endpoint.consume(slot, count)
                    side.unread[slot] = held - count
                    moved = true
                }
            }
            // Now and then the client loses interest.
            if Int.random(in: 0..<60, using: &random) == 0, let slot = client.incoming.keys.sorted().first {
                numbers[slot] = nil
                client.forget(slot)
                cancelled += 1
            }
            for (from, to) in [(client, server), (server, client)] {
                guard !from.endpoint.sent.isEmpty else { continue }
                let count = Int.random(in: 1...max(1, from.endpoint.sent.count), using: &random)
                let piece = Array(from.endpoint.sent.prefix(count))
                from.endpoint.sent.removeFirst(count)
                moved = true
                for happening in to.endpoint.receive(piece) {
                    switch happening.event {
                    case .head(let slot, let end):
                        if to === server {
                            let path = happening.text.split(separator: " ")[1].dropFirst()
                            let number = try #require(Int(path))
                            to.incoming[slot] = []
                            to.unread[slot] = 0
                            // Cancelled in the bytes that came with it: the event is yet to be looked at.
                            guard to.endpoint.isOpen(slot) else { continue }
                            #expect(to.endpoint.sendHead(slot, "HTTP/1.1 200 OK\r\nx-number: \(number)\r\n\r\n"))
                            to.outgoing[slot] = [UInt8](repeating: UInt8(number & 255), count: expected[number] ?? 0)
                        } else {
                            to.unread[slot] = 0
                            let number = try #require(numbers[slot])
                            #expect(happening.text.contains("x-number: \(number)\r\n"))
                        }
                        if end { to.ended.insert(slot) }
                    case .data(let slot, _, let end):
                        to.incoming[slot]?.append(contentsOf: happening.content)
                        to.unread[slot, default: 0] += happening.content.count
                        if end { to.ended.insert(slot) }
                    case .trailers(let slot):
                        to.ended.insert(slot)
                    case .streamReset(let slot, _):
                        #expect(to === server, "seed \(seed): only the client cancels")
                        to.forget(slot)
                    case .settingsChanged, .writable, .needMore, .replied: break
                    case .streamRefused(.refusedStream, _): Issue.record("seed \(seed): above the limit")
                    default: Issue.record("seed \(seed): \(happening.event)")
                    }
                }
            }
            // What is complete on a side is let go there.
            for slot in server.ended.sorted() where server.outgoing[slot] == nil && server.unread[slot] == 0 {
                server.forget(slot)
            }
            for slot in client.ended.sorted() where client.outgoing[slot] == nil && client.unread[slot] == 0 {
                let number = try #require(numbers[slot])
                let size = try #require(expected[number])
                #expect(client.incoming[slot] == [UInt8](repeating: UInt8(number & 255), count: size), "seed \(seed)")
                numbers[slot] = nil
                client.forget(slot)
                finished += 1
            }
            idleRounds = moved ? 0 : idleRounds + 1
        }
        // What is still on its way arrives.
        repeat {
            for happening in server.endpoint.receive(client.endpoint.takeSent()) {
                switch happening.event {
                case .head(let slot, _): server.incoming[slot] = []
                case .streamReset(let slot, _): server.forget(slot)
                default: break
                }
            }
            for slot in server.incoming.keys.sorted() where !server.endpoint.isOpen(slot) {
                server.forget(slot)
            }
            _ = client.endpoint.receive(server.endpoint.takeSent())
        } while !client.endpoint.sent.isEmpty || !server.endpoint.sent.isEmpty
        #expect(client.endpoint.openStreams == 0, "seed \(seed)")
        #expect(server.endpoint.openStreams == 0, "seed \(seed)")
        #expect(client.endpoint.isIdle && server.endpoint.isIdle, "seed \(seed)")
    }

    private func send(_ side: Side, _ slot: Int, _ random: inout Random) -> Bool {
        guard let rest = side.outgoing[slot] else { return false }
        let room = min(side.endpoint.sendRoom(slot), side.endpoint.connection.peerFrameBytesMax)
        if rest.isEmpty, Bool.random(using: &random) {
            #expect(side.endpoint.sendTrailers(slot, "x-end: 1\r\n\r\n"))
            side.outgoing[slot] = nil
            return true
        }
        let count = min(rest.count, room, Int.random(in: 1...20_000, using: &random))
        guard count > 0 || rest.isEmpty else { return false }
        let end = count == rest.count && Bool.random(using: &random)
        guard count > 0 || end else { return false }
        side.endpoint.sendData(slot, Array(rest.prefix(count)), endStream: end)
        side.outgoing[slot] = end ? nil : Array(rest.dropFirst(count))
        return true
    }

    @Test("a window grows where a round trip carries a whole window, up to its bound")
    func growth() throws {
        var settings = HTTP2LocalSettings()
        settings.streamWindowBytesMax = 200_000
        let client = Endpoint(.client)
        let server = Endpoint(.server, settings)
        func exchange() -> [Endpoint.Happening] {
            let events = server.receive(client.takeSent())
            _ = client.receive(server.takeSent())
            return events
        }
        _ = exchange()
        let slot = try client.open()
        client.sendHead(slot, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = exchange()
        var rooms: Set<Int> = []
        for _ in 0..<300 {
            let room = client.sendRoom(slot)
            rooms.insert(room)
            var left = room
            while left > 0 {
                client.sendData(slot, [UInt8](repeating: 0, count: min(left, 16_384)))
                left = client.sendRoom(slot)
            }
            for happening in exchange() {
                if case .data(let slot, let range, _) = happening.event { server.consume(slot, range.count) }
            }
            _ = exchange()
        }
        #expect(rooms.max() ?? 0 > 150_000)
        #expect(rooms.max() ?? .max <= 200_000)
    }
}
