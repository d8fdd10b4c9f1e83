// rooms: Model Bytes HTTP
import PoiseHTTP

/// A client's bytes behind a valid beginning, at once and cut in two: the same events, no bound broken.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func http2Server(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    let beginning = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    compareCuts(.server, beginning + bytes)
    return 0
}
