import PoiseHTTP
import Testing

/// Invariant 1 of the heads: the cuts between reads never change the result.
@Suite("Cuts between reads")
struct SplitTests {
    static let requests = [
        "\r\nGET /a%20b?c HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t z \t\r\nConnection: x, close\r\n\r\nrest",
        "POST http://a:1/ HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nTrailer: z\r\n\r\n0\r\n\r\n",
        "OPTIONS * HTTP/1.0\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nTE: trailers\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n", "GET /#\r\n",
        "GET /\r\n",
        "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUnfinished: va",
    ]

    @Test("a request gives the same result cut at every byte, and byte by byte", arguments: requests)
    func request(input: String) {
        let input = bytes(input)
        let whole = parseRequest(input)
        for cut in 0...input.count {
            #expect(parseRequest(input, cuts: [cut]) == whole, "cut at \(cut)")
        }
        #expect(parseRequest(input, cuts: 0...input.count) == whole)
    }

    @Test("limits cut in at the same byte however it comes", arguments: 1...80)
    func limits(headBytesMax: Int) {
        let input = bytes("GET /abcdefghij?klm HTTP/1.1\r\nHost: a\r\nB: cde\r\nF: g\r\n\r\n")
        let limits = HeadLimits(headBytesMax: headBytesMax, fieldCountMax: 3, uriBytesMax: 15)
        #expect(
            parseRequest(input, cuts: 0...input.count, limits: limits) == parseRequest(input, limits: limits))
    }

    @Test(
        "an answer gives the same result cut at every byte, and byte by byte",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\r\nhello", "HTTP/1.0 200\r\n\r\n",
            "HTTP/1.1 204 \r\nDate: now\r\nConnection: close, x\r\nX: y\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "HTTP/1.1 200 O\u{0}K\r\n\r\n",
        ])
    func response(input: String) {
        let input = bytes(input)
        let whole = parseResponse(input)
        for cut in 0...input.count {
            #expect(parseResponse(input, cuts: [cut]) == whole, "cut at \(cut)")
        }
        #expect(parseResponse(input, cuts: 0...input.count) == whole)
    }

    @Test(
        "chunked content gives the same result for every way to cut it in up to three, and byte by byte",
        arguments: [
            "3\r\nabc\r\n0\r\n\r\nx", "1;a=b\r\na\r\n02\r\nbc\r\n0\r\nA: b\r\nHost: c\r\n\r\nyz", "1\r\nab",
            "0\r\nA : b\r\n\r\n",
            "2\r\na",
        ])
    func chunked(input: String) {
        let input = bytes(input)
        let whole = decodeChunked(input)
        for first in 0...input.count {
            for second in first...input.count {
                #expect(decodeChunked(input, cuts: [first, second]) == whole, "cut at \(first) and \(second)")
            }
        }
        #expect(decodeChunked(input, cuts: 0...input.count) == whole)
    }
}

@Suite("Random bytes")
struct MutationTests {
    private static let requestFragments = [
        "GET ", "/", " HTTP/1.1\r\n", "Host: a\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "\r\n",
        "\r", "\n",
        "\u{0}", " ", "\t", ":", "?", "%", "#", ",", "Connection: ", "close", "http://", "[::1]", "@", "\u{FF}",
        "A: b\r\n",
        "HTTP/1.0", "HTTP/1.1 200 OK\r\n", "0\r\n", "5;x\r\n",
    ]

    private func mutated(_ seedText: String, _ generator: inout SeededGenerator) -> [UInt8] {
        var input = bytes(seedText)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let position = Int.random(in: 0...input.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0 where position < input.count: input[position] = UInt8.random(in: 0...255, using: &generator)
            case 1 where position < input.count: input.remove(at: position)
            case 2:
                let stop = Int.random(in: position...input.count, using: &generator)
                input.insert(contentsOf: Array(input[position..<stop]), at: position)
            default:
                input.insert(contentsOf: bytes(Self.requestFragments.randomElement(using: &generator)!), at: position)
            }
        }
        return input
    }

    private func randomCuts(_ count: Int, _ generator: inout SeededGenerator) -> [Int] {
        (0..<Int.random(in: 0...5, using: &generator)).map { _ in Int.random(in: 0...count, using: &generator) }
            .sorted()
    }

    @Test(
        "a mutated request keeps the invariants, whatever the cuts",
        arguments: [UInt64.random(in: .min ... .max), 1, 2, 3])
    func request(seed: UInt64) {
        print("mutated requests: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let limits = HeadLimits(headBytesMax: 300, fieldCountMax: 8, uriBytesMax: 60)
        var accepted = 0
        for round in 0..<5_000 {
            let input = mutated(SplitTests.requests.randomElement(using: &generator)!, &generator)
            var head = RequestHead()
            let result = head.parse(input.span, from: 0, limits: limits)
            let cuts = randomCuts(input.count, &generator)
            #expect(
                parseRequest(input, cuts: cuts, limits: limits) == verdict(head, result, input),
                "seed \(seed) round \(round): \(latin1(input))")
            guard result == .complete else { continue }
            accepted += 1
            let named = [
                head.methodRange, head.target, head.path, head.query, head.authority, head.host,
                head.upgrade(input.span, among: ["websocket"]),
            ]
            let ranges = named + head.fields.flatMap { [$0.name, $0.value] }
            let isInside = ranges.allSatisfy { $0 == .empty || head.headStart <= $0.start && $0.end <= head.headEnd }
            #expect(isInside && head.headEnd <= input.count, "seed \(seed) round \(round): \(latin1(input))")
            // What would end a line, or be a line of its own, in another parser.
            let isClean = ranges.allSatisfy { !input[$0.indices].contains { $0 < 0x20 && $0 != 0x09 } }
            #expect(isClean, "seed \(seed) round \(round): \(latin1(input))")
            #expect(head.fields.count <= 8 && head.headEnd - head.headStart <= 300 && head.target.count <= 60)
        }
        #expect(accepted > 100, "the mutations leave too little to look at")
    }

    @Test(
        "mutated answers and chunked content end the same way whatever the cuts",
        arguments: [UInt64.random(in: .min ... .max), 1, 2])
    func responseAndChunked(seed: UInt64) {
        print("mutated answers: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<5_000 {
            let answer = mutated(
                "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 3\r\nConnection: a\r\n\r\nabc", &generator)
            #expect(
                parseResponse(answer, cuts: randomCuts(answer.count, &generator)) == parseResponse(answer),
                "seed \(seed) round \(round): \(latin1(answer))")
            let content = mutated("5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\nHost: c\r\n\r\nrest", &generator)
            #expect(
                decodeChunked(content, cuts: randomCuts(content.count, &generator)) == decodeChunked(content),
                "seed \(seed) round \(round): \(latin1(content))")
        }
    }
}
