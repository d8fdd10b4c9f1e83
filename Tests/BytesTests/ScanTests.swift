import PoiseBytes
import Testing

@Suite("Runs and words, against one byte at a time")
struct ScanTests {
    typealias Scan = @Sendable (Span<UInt8>, Int, Int) -> Int

    static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    static func isText(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F }

    static func isPlainTarget(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && ![UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "?")].contains(byte)
    }

    enum Kind: CaseIterable { case name, labels, text, target }

    static func scan(_ kind: Kind, _ bytes: [UInt8], _ start: Int, _ end: Int) -> Int {
        switch kind {
        case .name: bytes.span.endOfName(from: start, to: end)
        case .labels: bytes.span.endOfLabels(from: start, to: end)
        case .text: bytes.span.endOfText(from: start, to: end)
        case .target: bytes.span.endOfPlainTarget(from: start, to: end)
        }
    }

    static func portable(_ kind: Kind, _ bytes: [UInt8], at position: Int) -> UInt32 {
        switch kind {
        case .name: bytes.span.portableStops(of: .name, at: position)
        case .labels:
            bytes.span.portableStops(of: .name, at: position) & ~bytes.span.portableStops(of: .dot, at: position)
        case .text: bytes.span.portableStops(of: .text, at: position)
        case .target: bytes.span.portableStops(of: .target, at: position)
        }
    }

    static func isMember(_ kind: Kind, _ byte: UInt8) -> Bool {
        switch kind {
        case .name: isName(byte)
        case .labels: isName(byte) || byte == UInt8(ascii: ".")
        case .text: isText(byte)
        case .target: isPlainTarget(byte)
        }
    }

    @Test("every byte value, at every place of spans of 0...40 bytes, ends a run or does not", arguments: Kind.allCases)
    func everyByte(kind: Kind) {
        var wrong: [String] = []
        for value in UInt8.min...UInt8.max {
            for count in [1, 7, 8, 15, 16, 17, 31, 32, 33, 40] {
                for place in 0..<count {
                    var bytes = [UInt8](repeating: UInt8(ascii: "m"), count: count)
                    bytes[place] = value
                    let isEmptyLabel = kind == .labels && value == UInt8(ascii: ".") && place == 0
                    let expected = Self.isMember(kind, value) && !isEmptyLabel ? count : place
                    if Self.scan(kind, bytes, 0, count) != expected { wrong.append("\(value) at \(place) of \(count)") }
                }
            }
        }
        #expect(wrong == [])
        #expect(Self.scan(kind, [], 0, 0) == 0)
    }

    @Test("a run never ends beyond its end, wherever it starts", arguments: Kind.allCases)
    func bounds(kind: Kind) {
        var wrong: [String] = []
        for count in [3, 16, 20, 37] {
            let bytes = [UInt8](repeating: UInt8(ascii: "m"), count: count - 1) + [0]
            for start in 0..<count {
                for end in start...count where Self.scan(kind, bytes, start, end) != min(end, count - 1) {
                    wrong.append("\(start)..<\(end) of \(count)")
                }
            }
        }
        #expect(wrong == [])
    }

    @Test("the portable arithmetic and this machine's agree on every pair of neighbours", arguments: Kind.allCases)
    func portableAgrees(kind: Kind) {
        var wrong: [String] = []
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                // Neighbours, since a carry between bytes is what goes wrong in such arithmetic.
                var bytes = [UInt8](repeating: first, count: 16)
                for index in [1, 4, 5, 8, 11, 15] { bytes[index] = second }
                var expected: UInt32 = 0
                for index in 0..<16 where !Self.isMember(kind, bytes[index]) { expected |= 1 << UInt32(index) }
                if Self.portable(kind, bytes, at: 0) != expected { wrong.append("\(first) \(second)") }
                if kind == .labels { continue }  // Its scan asks for what stands before a dot: see below.
                if Self.scan(kind, bytes, 0, 16) != (expected == 0 ? 16 : expected.trailingZeroBitCount) {
                    wrong.append("scan \(first) \(second)")
                }
            }
        }
        #expect(wrong == [])
    }

    @Test("labels end at the second of two dots, at a first one and at what is no label, wherever the host stands")
    func labels() {
        var wrong: [String] = []
        for before in [0, 1, 15, 16, 17, 40] {
            for behind in [0, 1, 16, 20] {
                for count in 1...35 {
                    for dot in 0..<count {
                        for other in dot..<count {
                            var host = [UInt8](repeating: UInt8(ascii: "a"), count: count)
                            host[dot] = UInt8(ascii: ".")
                            host[other] = UInt8(ascii: ".")
                            let bytes =
                                [UInt8](repeating: UInt8(ascii: "."), count: before) + host
                                + [UInt8](repeating: UInt8(ascii: "."), count: behind)
                            let expected = dot == 0 ? 0 : other == dot + 1 ? other : count
                            let end = bytes.span.endOfLabels(from: before, to: before + count)
                            if end != before + expected { wrong.append("\(before) \(behind) \(count) \(dot) \(other)") }
                        }
                    }
                }
            }
        }
        #expect(wrong == [])
        let port = Array("a.b-c.9:80".utf8)
        #expect(Self.scan(.labels, port, 0, port.count) == 7)
    }

    @Test("words are the bytes in order, with zeros where there are fewer")
    func words() {
        for count in 1...24 {
            let bytes = (1...count).map { UInt8($0) }
            for start in 0..<count {
                for length in 0...min(8, count - start) {
                    var expected: UInt64 = 0
                    for index in 0..<length { expected |= UInt64(bytes[start + index]) << UInt64(8 * index) }
                    let word = bytes.span.word(at: start, count: length)
                    #expect(word == expected, "\(start) \(length) of \(count)")
                    if length == 8 {
                        let whole = bytes.span.word(at: start)
                        #expect(whole == expected)
                    }
                }
            }
        }
    }

    @Test("a folded tail is the last 16 bytes at most, lower-cased, wherever the name stands")
    func foldedTail() {
        let name = Array("Proxy-Authorization-0".utf8)
        for before in [0, 1, 7, 30] {
            for count in 0...name.count {
                let bytes = [UInt8](repeating: 0xFF, count: before) + name.prefix(count) + Array(": x".utf8)
                var expected: UInt128 = 0
                for byte in name.prefix(count).suffix(16) { expected = expected << 8 | UInt128(byte | 0x20) }
                let packed = bytes.span.foldedTail(from: before, to: before + count)
                #expect(packed == expected, "\(count) bytes behind \(before)")
            }
        }
    }

    @Test(
        "hexadecimal digits in memory's order, the same from both ways to make them",
        arguments: [0, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, 0x9999_AAAA_0000_FFFF, UInt64.max])
    func hexadecimal(number: UInt64) {
        let text = String(number, radix: 16)
        let digits = Array((String(repeating: "0", count: 16 - text.count) + text).utf8)
        let hexadecimal = HexadecimalText(number)
        let (high, low) = (digits.span.word(at: 0), digits.span.word(at: 8))
        #expect(hexadecimal.high == high && hexadecimal.low == low)
        #expect(HexadecimalText(portable: number) == hexadecimal)
    }

    @Test("a literal gives its bytes")
    func literal() {
        let text: StaticString = "X-Request-Id: \r\n"
        var copy: [UInt8] = []
        let span = text.asciiBytes
        for index in span.indices { copy.append(span[index]) }
        #expect(copy == Array("X-Request-Id: \r\n".utf8))
    }
}

@Suite("Labelled lines")
struct LabelledLineTests {
    /// Byte by byte what the first of the lines must be.
    private func reference(_ bytes: [UInt8], _ start: Int, _ end: Int) -> [Int]? {
        var nameEnd = start
        while nameEnd < end, ScanTests.isName(bytes[nameEnd]) { nameEnd += 1 }
        guard bytes.count >= 16, nameEnd > start, nameEnd + 2 <= end, bytes[nameEnd] == 0x3A, bytes[nameEnd + 1] == 0x20
        else { return nil }
        var textEnd = nameEnd + 2
        while textEnd < end, ScanTests.isText(bytes[textEnd]) { textEnd += 1 }
        guard textEnd + 2 <= end, bytes[textEnd] == 0x0D, bytes[textEnd + 1] == 0x0A else { return nil }
        guard textEnd > nameEnd + 2, bytes[nameEnd + 2] != 0x20, bytes[textEnd - 1] != 0x20 else { return nil }
        return [nameEnd, textEnd]
    }

    private func line(_ bytes: [UInt8], _ start: Int, _ end: Int) -> [Int]? {
        lines(bytes, start, end, countMax: 1).lines.first
    }

    private func lines(
        _ bytes: [UInt8], _ start: Int, _ end: Int, countMax: Int
    ) -> (lines: [[Int]], next: Int) {
        var lines: [[Int]] = []
        var starts = [start]
        let next = bytes.span.readLabelledLines(from: start, to: end, separator: 0x203A, terminator: 0x0A0D) {
            #expect($0.start == starts.last)
            lines.append([$0.nameEnd, $0.textEnd])
            starts.append($0.textEnd + 2)
            return lines.count < countMax
        }
        #expect(next == starts.last)
        return (lines, next)
    }

    @Test("lines are taken one behind the other, up to the first that is another, and no more than are wanted")
    func several() {
        let bytes = Array("Host: a.test\r\nAccept: */*\r\nX: y z\r\nA_b: c\r\nD: e\r\n\r\n".utf8)
        #expect(lines(bytes, 0, bytes.count, countMax: 9).lines == [[4, 12], [20, 25], [28, 33]])
        #expect(lines(bytes, 0, bytes.count, countMax: 2).next == 27)
        #expect(lines(bytes, 43, bytes.count, countMax: 9).next == 49)
        #expect(lines(bytes, 0, 34, countMax: 9).next == 27, "the end cuts the third line's CRLF")
    }

    @Test("names and texts of every length to 40, with and without bytes behind")
    func lengths() {
        var wrong: [String] = []
        for nameCount in 0...40 {
            for textCount in 0...40 {
                for rest in [0, 2, 20] {
                    let text =
                        String(repeating: "n", count: nameCount) + ": " + String(repeating: "t", count: textCount)
                    let bytes = Array((text + "\r\n" + String(repeating: "\r\n", count: rest / 2)).utf8)
                    let expected = reference(bytes, 0, bytes.count)
                    if line(bytes, 0, bytes.count) != expected { wrong.append("\(nameCount) \(textCount) \(rest)") }
                }
            }
        }
        #expect(wrong == [])
    }

    @Test(
        "a changed byte, an early end or a late start is never overlooked",
        arguments: [UInt64.random(in: .min ... .max), 1])
    func mutated(seed: UInt64) {
        print("labelled lines: seed \(seed)")
        var state = seed
        func random(_ bound: Int) -> Int {  // SplitMix64
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return Int(truncatingIfNeeded: (mixed ^ mixed >> 31) >> 1) % bound
        }
        let plain = Array("Accept-Language: en-US,en;q=0.5\r\nX: y\r\n\r\n0123456789abcdef".utf8)
        var wrong: [String] = []
        var taken = 0
        for round in 0..<50_000 {
            var bytes = plain
            for _ in 0..<random(3) { bytes[random(40)] = UInt8(random(256)) }
            let start = random(3) == 0 ? random(35) : 0
            let end = random(3) == 0 ? start + random(bytes.count - start + 1) : bytes.count
            let expected = reference(bytes, start, end)
            taken += expected == nil ? 0 : 1
            if line(bytes, start, end) != expected { wrong.append("round \(round): \(bytes) \(start)..<\(end)") }
        }
        #expect(wrong == [])
        #expect(taken > 5_000, "too few lines of the form to look at")
    }
}
