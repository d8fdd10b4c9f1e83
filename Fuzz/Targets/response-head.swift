// rooms: Model Bytes HTTP
import PoiseHTTP

private let limits = HeadLimits(headBytesMax: 2048, fieldCountMax: 20)

/// The same input at once and cut in two, for GET and HEAD: one result, and every range inside of the head.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func responseHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    let middle = cut(of: bytes)
    for method in [HTTPMethod.get, .head] {
        var whole = ResponseHead()
        let result = whole.parse(bytes.span, from: 0, limits: limits, requestMethod: method)
        var parts = ResponseHead()
        let part = bytes.span.extracting(first: middle)
        var partsResult = parts.parse(part, from: 0, limits: limits, requestMethod: method)
        if partsResult == .needMore {
            partsResult = parts.parse(bytes.span, from: 0, limits: limits, requestMethod: method)
        }
        precondition(partsResult == result, "the cut changed the result")

        if case .refused(let refusal) = result { precondition(refusal.status == 502) }
        guard result == .complete else { continue }
        precondition(parts.fields == whole.fields && parts.headEnd == whole.headEnd && parts.framing == whole.framing)
        precondition((100...599).contains(whole.status) && whole.headEnd <= bytes.count)
        precondition(method != .head || whole.framing == .none)
        precondition(whole.framing != .untilClose || whole.wantsClose)
        for range in [whole.reason, whole.upgradeValue] + whole.fields.flatMap({ [$0.name, $0.value] }) {
            precondition(range == .empty || range.end <= whole.headEnd, "a range outside of the head")
            for index in range.indices {
                precondition(bytes[index] >= 0x20 || bytes[index] == 0x09, "a control byte")
            }
        }
    }
    return 0
}
