/// xxHash64 of `bytes`: the same number for the same bytes on every machine and in every version of Poise,
/// because targets' identities and clients' keys are made with it.
///
/// Not for secrets: whoever chooses the bytes can make them collide.
///
/// - Parameter seed: another seed is another, independent function.
/// - Cost: about 1 ns per 8 bytes and 3 ns at the end; no allocation.
/// - Source: xxHash fast digest algorithm, version 0.2.0, "XXH64 algorithm description".
public func hash64(_ bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    var offset = 0
    var hash: UInt64
    if bytes.count >= 32 {
        var lane1 = seed &+ prime1 &+ prime2
        var lane2 = seed &+ prime2
        var lane3 = seed
        var lane4 = seed &- prime1
        while offset + 32 <= bytes.count {
            lane1 = round(lane1, littleEndian(bytes, at: offset, width: 8))
            lane2 = round(lane2, littleEndian(bytes, at: offset + 8, width: 8))
            lane3 = round(lane3, littleEndian(bytes, at: offset + 16, width: 8))
            lane4 = round(lane4, littleEndian(bytes, at: offset + 24, width: 8))
            offset += 32
        }
        hash = rotate(lane1, 1) &+ rotate(lane2, 7) &+ rotate(lane3, 12) &+ rotate(lane4, 18)
        hash = (hash ^ round(0, lane1)) &* prime1 &+ prime4
        hash = (hash ^ round(0, lane2)) &* prime1 &+ prime4
        hash = (hash ^ round(0, lane3)) &* prime1 &+ prime4
        hash = (hash ^ round(0, lane4)) &* prime1 &+ prime4
    } else {
        hash = seed &+ prime5
    }
    hash &+= UInt64(bytes.count)

    while offset + 8 <= bytes.count {
        hash = rotate(hash ^ round(0, littleEndian(bytes, at: offset, width: 8)), 27) &* prime1 &+ prime4
        offset += 8
    }
    if offset + 4 <= bytes.count {
        hash = rotate(hash ^ (littleEndian(bytes, at: offset, width: 4) &* prime1), 23) &* prime2 &+ prime3
        offset += 4
    }
    while offset < bytes.count {
        hash = rotate(hash ^ (UInt64(bytes[offset]) &* prime5), 11) &* prime1
        offset += 1
    }

    hash = (hash ^ (hash >> 33)) &* prime2
    hash = (hash ^ (hash >> 29)) &* prime3
    return hash ^ (hash >> 32)
}

private let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
private let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
private let prime3: UInt64 = 0x1656_67B1_9E37_79F9
private let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
private let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

private func rotate(_ bits: UInt64, _ count: UInt64) -> UInt64 { bits << count | bits >> (64 - count) }

private func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
    rotate(lane &+ input &* prime2, 31) &* prime1
}

private func littleEndian(_ bytes: Span<UInt8>, at offset: Int, width: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<width { word |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
    return word
}
