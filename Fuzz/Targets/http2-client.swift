// rooms: Model Bytes HTTP
import PoiseHTTP

/// A server's bytes behind its SETTINGS, at once and cut in two, for a client with two requests.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func http2Client(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    compareCuts(.client, [0, 0, 0, 4, 0, 0, 0, 0, 0] + bytes)
    return 0
}
