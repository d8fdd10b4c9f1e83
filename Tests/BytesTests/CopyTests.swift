import PoiseBytes
import Testing

@Suite("Copies, comparisons and hashes of runs of bytes")
struct CopyTests {
    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) } }

    private func matches(
        _ left: [UInt8], _ start: Int, _ right: [UInt8], _ otherStart: Int, _ count: Int, folding: Int = 0
    ) -> Bool {
        left.span.matches(start, right.span, otherStart, count: count, foldingFirst: folding)
    }

    @Test("a staged copy is right in every place and length, and changes at most 15 bytes behind it")
    func stages() {
        let source = pattern(400)
        for length in [0, 1, 7, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300] {
            for start in [0, 3, 400 - length] {
                for (position, room) in [(0, 0), (5, 0), (5, 14), (5, 15), (5, 40)] {
                    var target = [UInt8](repeating: 0xEE, count: position + length + room)
                    var span = target.mutableSpan
                    span.stage(source.span, from: start, to: start + length, at: position)
                    #expect(Array(target[position..<position + length]) == Array(source[start..<start + length]))
                    #expect(target[..<position].allSatisfy { $0 == 0xEE })
                    #expect(target.dropFirst(position + length + 15).allSatisfy { $0 == 0xEE })
                }
            }
        }
    }

    @Test("a move within a span may overlap itself, both ways")
    func moves() {
        for (start, end, position) in [(0, 20, 5), (5, 25, 0), (3, 3, 9), (0, 10, 20)] {
            var bytes = pattern(40)
            let wanted = Array(bytes[start..<end])
            var span = bytes.mutableSpan
            span.move(from: start, to: end, at: position)
            #expect(Array(bytes[position..<position + end - start]) == wanted)
        }
    }

    @Test("stores a number with its lowest byte first")
    func stores() {
        var bytes = [UInt8](repeating: 0, count: 6)
        var span = bytes.mutableSpan
        span.store(UInt32(0x0403_0201), at: 1)
        #expect(bytes == [0, 1, 2, 3, 4, 0])
    }

    @Test("runs match when every byte does, whatever their length and place")
    func matches() {
        for length in 0...40 {
            let left = pattern(3 + length + 2)
            var right = [0, 0, 0, 0, 0] + Array(left.dropFirst(3))
            #expect(matches(left, 3, right, 5, length))
            for changed in 0..<length {
                right[5 + changed] ^= 1
                #expect(!matches(left, 3, right, 5, length), "byte \(changed) of \(length)")
                right[5 + changed] ^= 1
            }
        }
    }

    @Test("letters are folded in the first bytes only, and nothing but letters")
    func folds() {
        let known = Array("content-type_x: Text/A".utf8)
        for (line, isSame) in [
            ("Content-Type_X: Text/A", true), ("CONTENT-TYPE_X: Text/A", true), ("content-type_x: text/A", false),
            ("Content-Type_X: Text/a", false), ("content-type\u{7F}x: Text/A", false),
            ("content-typf_x: Text/A", false),
        ] {
            #expect(
                matches(Array(line.utf8), 0, known, 0, known.count, folding: 14) == isSame,
                "\(line)")
        }
        for byte in UInt8.min...UInt8.max {
            let folded = UInt64(byte).lowerCased(first: 1)
            #expect(folded == UInt64(0x41...0x5A ~= byte ? byte | 0x20 : byte))
            #expect(UInt64(byte).lowerCased(first: 0) == UInt64(byte))
        }
    }

    @Test("a hash depends on every byte and on the length, not on the place")
    func hashes() {
        var seen: Set<UInt64> = []
        for length in 0...40 {
            var bytes = [UInt8](repeating: 7, count: length + 9)
            let hash = bytes.span.mixedHash(from: 4, to: 4 + length)
            #expect(bytes.span.mixedHash(from: 9, to: 9 + length) == hash)
            #expect(seen.insert(hash).inserted)
            for index in 4..<4 + length {
                bytes[index] = 8
                #expect(seen.insert(bytes.span.mixedHash(from: 4, to: 4 + length)).inserted)
                bytes[index] = 7
            }
        }
    }
}
