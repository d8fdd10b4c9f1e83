// rooms: Model Bytes HTTP
import PoiseHTTP

private struct Outcome: Equatable {
    var data: [UInt8] = []
    var last = ChunkedDecoder.Event.needMore
    var used = 0
    var trailers: [[UInt8]] = []
}

/// The same input at once and cut in two with the used bytes thrown away: the same data, trailers and end.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func chunked(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    let whole = decode(bytes, cuts: [])
    let parts = decode(bytes, cuts: [cut(of: bytes)])
    precondition(parts.data == whole.data && parts.last == whole.last && parts.trailers == whole.trailers)
    precondition(whole.last != .end || parts.used == whole.used)
    // Every byte of content has its framing: nothing is made up.
    precondition(whole.data.count < max(1, bytes.count))
    return 0
}

private func decode(_ bytes: [UInt8], cuts: [Int]) -> Outcome {
    var decoder = ChunkedDecoder(trailerBytesMax: 256)
    var outcome = Outcome()
    var buffer: [UInt8] = []
    var arrived = 0
    for cut in cuts + [bytes.count] {
        buffer += bytes[arrived..<cut]
        arrived = cut
        var position = 0
        events: while true {
            let before = position
            outcome.last = decoder.next(buffer.span, position: &position, end: buffer.count)
            precondition(before <= position && position <= buffer.count)
            switch outcome.last {
            case .data(let range):
                precondition(!range.isEmpty && before <= range.start && range.end == position)
                outcome.data += buffer[range.indices]
            case .needMore: break events
            case .refused: return outcome
            case .end:
                outcome.used += position
                outcome.trailers = decoder.trailers.flatMap {
                    [Array(buffer[$0.name.indices]), Array(buffer[$0.value.indices])]
                }
                return outcome
            }
        }
        buffer.removeFirst(position)
        outcome.used += position
    }
    return outcome
}
