// rooms: Model Bytes HTTP
import PoiseHTTP

private let limits = HeadLimits(headBytesMax: 2048, fieldCountMax: 20, uriBytesMax: 512)

/// The same input at once, cut in two, and moved in between: one result, and every range inside of the head.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func requestHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    var whole = RequestHead()
    let result = whole.parse(bytes.span, from: 0, limits: limits)

    let middle = cut(of: bytes)
    var parts = RequestHead()
    var partsResult = parts.parse(bytes.span.extracting(first: middle), from: 0, limits: limits)
    if partsResult == .needMore { partsResult = parts.parse(bytes.span, from: 0, limits: limits) }
    precondition(partsResult == result, "the cut changed the result")

    guard result == .complete else { return 0 }
    precondition(parts.fields == whole.fields && parts.headEnd == whole.headEnd && parts.framing == whole.framing)
    let moved = Array(repeating: UInt8(0x20), count: 7) + bytes
    var shifted = RequestHead()
    _ = shifted.parse(bytes.span.extracting(first: middle), from: 0, limits: limits)
    shifted.shift(by: 7)
    precondition(shifted.parse(moved.span, from: 7, limits: limits) == .complete)
    precondition(shifted.headEnd == whole.headEnd + 7 && shifted.fields.count == whole.fields.count)

    precondition(whole.headEnd <= bytes.count && whole.headEnd - whole.headStart <= limits.headBytesMax)
    precondition(whole.fields.count <= limits.fieldCountMax && whole.target.count <= limits.uriBytesMax)
    for range in [whole.methodRange, whole.target, whole.path, whole.query, whole.authority, whole.host] {
        check(range, bytes, whole.headStart, whole.headEnd)
    }
    for field in whole.fields {
        precondition(!field.name.isEmpty)
        check(field.name, bytes, whole.headStart, whole.headEnd)
        check(field.value, bytes, whole.headStart, whole.headEnd)
    }
    return 0
}

private func check(_ range: ByteRange, _ bytes: [UInt8], _ start: Int, _ end: Int) {
    precondition(range == .empty || start <= range.start && range.end <= end, "a range outside of the head")
    for index in range.indices { precondition(bytes[index] >= 0x20 || bytes[index] == 0x09, "a control byte") }
}
