/// The fuzzer's input as an array. The copy has the exact size, so that the address sanitizer sees each byte too far.
func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    // SAFETY: libFuzzer passes `count` readable bytes, and nil only together with 0.
    unsafe Array(UnsafeBufferPointer(start: start, count: count))
}

/// A number 0...`bytes.count` that depends on all bytes: where the input is cut in two.
func cut(of bytes: [UInt8]) -> Int {
    bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % (bytes.count + 1)
}
