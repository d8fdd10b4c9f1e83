// rooms: Model Bytes HTTP
import PoiseHTTP

/// A target's word about its load: figures within their bounds, whatever it says, and the field is not passed on.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func loadReport(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let value = unsafe input(start, count)
    let begin = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nEndpoint-Load-Metrics: ".utf8)
    let bytes = begin + value + Array("\r\n\r\n".utf8)
    var head = ResponseHead()
    let limits = HeadLimits(headBytesMax: 8192, fieldCountMax: 20)
    guard head.parse(bytes.span, from: 0, limits: limits, requestMethod: .get) == .complete else { return 0 }
    guard let said = head.takeLoadReport(bytes.span) else { preconditionFailure("the field was there") }
    if let report = said {
        precondition((0...100 * 65_536).contains(report.utilization))
        precondition((0...10_000_000_000).contains(report.requestRate))
        precondition((0...10_000_000_000).contains(report.errorRate))
    }
    for field in head.fields where !field.isHopByHop {
        let name = String(decoding: bytes[field.name.start..<field.name.end], as: UTF8.self).lowercased()
        precondition(name != "endpoint-load-metrics" && name != "endpoint-load-metrics-bin", "the client would see it")
    }
    return 0
}
