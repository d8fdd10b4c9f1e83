import PoiseBytes

/// HPACK's Huffman code, both ways. RFC 7541 §5.2, appendix B
///
/// The code is canonical: symbols in the order of (length, value) have ascending codes, so the lengths say it all, and
/// the tables are made of them once. Decoding looks 12 bits up at a time, which is one symbol or two of the common
/// ones; longer codes, of bytes that text seldom has, are found by comparing with the last code of each length.
struct HuffmanCode: Sendable {
    /// By the next 12 bits: first symbol, second one, how many (2 bits from bit 16 on; 0 for a longer code), bits of the
    /// first (from 20), bits of all (from 24).
    private let pairs: [UInt32]
    /// By symbol: the code from bit 8 on, its length below.
    private let codes: [UInt64]
    /// By length: the code behind the last one of it, as if it had 30 bits.
    private let limits: [UInt32]
    /// By length: index in `ordered` less the code, so that code + offset is the symbol's index.
    private let offsets: [Int]
    /// Symbols in the order of their codes; 256 is EOS.
    private let ordered: [UInt16]

    private static var lookupBits: Int { 12 }

    init() {
        let lengths = Self.lengths
        let order = (0...256).sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        var codes = [UInt64](repeating: 0, count: 257)
        var limits = [UInt32](repeating: 0, count: 31)
        var offsets = [Int](repeating: 0, count: 31)
        var pairs = [UInt32](repeating: 0, count: 1 << Self.lookupBits)
        var code: UInt64 = 0
        var length = 0
        for (rank, symbol) in order.enumerated() {
            let longer = Int(lengths[symbol])
            code <<= UInt64(longer - length)
            if longer != length { offsets[longer] = rank - Int(code) }
            length = longer
            codes[symbol] = code << 8 | UInt64(length)
            code += 1
            limits[length] = UInt32(code << UInt64(30 - length))
        }
        // Twice: the second symbol of an entry is the first one of another.
        for _ in 0..<2 {
            for symbol in order where lengths[symbol] <= Self.lookupBits {
                let bits = Int(lengths[symbol])
                let start = Int(codes[symbol] >> 8) << (Self.lookupBits - bits)
                for rest in 0..<1 << (Self.lookupBits - bits) {
                    let next = pairs[rest << bits]
                    let nextBits = Int(next >> 20 & 15)
                    if nextBits > 0, bits + nextBits <= Self.lookupBits {
                        pairs[start + rest] =
                            UInt32(symbol) | (next & 0xFF) << 8 | 2 << 16 | UInt32(bits) << 20
                            | UInt32(bits + nextBits) << 24
                    } else {
                        pairs[start + rest] = UInt32(symbol) | 1 << 16 | UInt32(bits) << 20 | UInt32(bits) << 24
                    }
                }
            }
        }
        (self.pairs, self.codes, self.limits, self.offsets) = (pairs, codes, limits, offsets)
        ordered = order.map { UInt16($0) }
    }

    /// Bytes that `count` encoded bytes can decode to at most, with what the decoder writes too far.
    static func decodedBytesMax(_ count: Int) -> Int { count * 8 / 5 + 2 }

    /// Decodes `start..<end` to `position` of `output`, which has room for ``decodedBytesMax(_:)``.
    /// - Returns: the end of the text in `output`; nil for EOS, and for padding that is longer than 7 bits or has a 0.
    func decode(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, into output: inout MutableSpan<UInt8>, at position: Int
    ) -> Int? {
        let pairs = pairs.span
        var out = position
        var bit = start &* 8
        let endBit = end &* 8
        // A word holds 57 bits from any bit on: four lookups.
        while bit &>> 3 &+ 8 <= end {
            var word = bytes.word(at: bit &>> 3).byteSwapped &<< UInt64(truncatingIfNeeded: bit & 7)
            var lookups = 4
            repeat {
                let entry = pairs[Int(truncatingIfNeeded: word &>> 52)]
                let found = Int(truncatingIfNeeded: entry &>> 16 & 3)
                guard found > 0 else { break }
                output.store(UInt16(truncatingIfNeeded: entry), at: out)
                out &+= found
                word &<<= UInt64(truncatingIfNeeded: entry &>> 24)
                bit &+= Int(truncatingIfNeeded: entry &>> 24)
                lookups &-= 1
            } while lookups > 0
            if lookups > 0, bit &>> 3 &+ 8 <= end {
                let word = bytes.word(at: bit &>> 3).byteSwapped &<< UInt64(truncatingIfNeeded: bit & 7)
                guard let (symbol, bits) = longSymbol(word) else { return nil }
                output[out] = symbol
                out &+= 1
                bit &+= bits
            }
        }
        return decodeTail(bytes, &bit, endBit, &output, out)
    }

    /// Symbol by symbol up to the padding.
    private func decodeTail(
        _ bytes: Span<UInt8>, _ bit: inout Int, _ endBit: Int, _ output: inout MutableSpan<UInt8>, _ position: Int
    ) -> Int? {
        var out = position
        while true {
            let left = endBit &- bit
            let first = bit &>> 3
            let available = Swift.min(8, endBit &>> 3 &- first)
            // Ones behind the end, as padding has them.
            var word = bytes.word(at: first, count: available).byteSwapped
            if available < 8 { word |= UInt64.max &>> UInt64(truncatingIfNeeded: available &* 8) }
            word &<<= UInt64(truncatingIfNeeded: bit & 7)
            if bit & 7 != 0 { word |= UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- bit & 7) }
            if left < 8, left == 0 || word == .max { return out }
            let entry = pairs[Int(truncatingIfNeeded: word &>> 52)]
            let symbol: UInt8
            let bits: Int
            if entry != 0 {
                symbol = UInt8(truncatingIfNeeded: entry)
                bits = Int(truncatingIfNeeded: entry &>> 20 & 15)
            } else {
                guard let long = longSymbol(word) else { return nil }
                (symbol, bits) = long
            }
            guard bits <= left else { return nil }
            output[out] = symbol
            out &+= 1
            bit &+= bits
        }
    }

    /// The symbol of more than 12 bits that `word` begins with, and its bits; nil for EOS.
    private func longSymbol(_ word: UInt64) -> (symbol: UInt8, bits: Int)? {
        let code = UInt32(truncatingIfNeeded: word &>> 34)
        var length = Self.lookupBits &+ 1
        while length < 30, code >= limits[length] { length &+= 1 }
        let symbol = ordered[Int(code &>> UInt32(truncatingIfNeeded: 30 &- length)) &+ offsets[length]]
        guard symbol < 256 else { return nil }
        return (UInt8(truncatingIfNeeded: symbol), length)
    }

    /// Bytes that the text takes when encoded.
    func encodedBytes(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        let codes = codes.span
        var bits: UInt64 = 7
        for index in start..<end { bits &+= codes[Int(bytes[index])] & 0xFF }
        return Int(bits &>> 3)
    }

    /// Encodes the text to `position` of `output`, which has room for ``encodedBytes(_:from:to:)`` and 4 bytes more.
    /// - Returns: the end of the encoded bytes.
    func encode(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, into output: inout MutableSpan<UInt8>, at position: Int
    ) -> Int {
        let codes = codes.span
        var out = position
        var bits: UInt64 = 0
        var held: UInt64 = 0
        for index in start..<end {
            let code = codes[Int(bytes[index])]
            bits = bits &<< (code & 0xFF) | code &>> 8
            held &+= code & 0xFF
            if held >= 32 {
                held &-= 32
                output.store(UInt32(truncatingIfNeeded: bits &>> held).byteSwapped, at: out)
                out &+= 4
            }
        }
        // The beginning of EOS fills the last byte.
        let padding = (0 &- held) & 7
        bits = bits &<< padding | (1 &<< padding &- 1)
        held &+= padding
        while held > 0 {
            held &-= 8
            output[out] = UInt8(truncatingIfNeeded: bits &>> held)
            out &+= 1
        }
        return out
    }

    /// Bits of each symbol's code, EOS last. RFC 7541 appendix B
    private static var lengths: [UInt8] {
        [
            13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
            28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
            6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
            5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
            13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
            7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
            15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
            6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
            20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
            24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
            22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
            21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
            26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
            19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
            20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
            26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
            30,
        ]
    }
}
