// rooms: Model Bytes HTTP Routing
import PoiseModel
import PoiseRouting

/// Held here as well, where the leak checker finds them: inside of a `Condition` the pointer has tag bits.
private let globs = ["*.a.b", "a.b", "*", "?.b*", "/x/*", "/x/?y*z", "*.png", "/a/*/b/*c"].map { [Glob($0)] }
private let table = RouteTable(
    rules: (0..<4).map { index in
        Rule(
            id: "rule", conditions: [.host(globs[index]), .path(globs[index + 4])],
            action: .fixedResponse(FixedResponse(status: 200)))
    })

/// A path: its normal form is stable and has no dot segment, and a path that is called normal has that form already.
/// Any host and path: the compiled match and the linear evaluation agree.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func uri(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    var normal: [UInt8] = []
    let outcome = PathNormalization.normalize(bytes.span, into: &normal)
    precondition(!PathNormalization.isNormal(bytes.span) || outcome == .normal && normal == bytes)
    if outcome == .normal {
        var again: [UInt8] = []
        precondition(PathNormalization.normalize(normal.span, into: &again) == .normal && again == normal)
        precondition(normal.count <= max(1, 3 * bytes.count))
        precondition(normal.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        let segments = normal.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        for segment in segments.dropLast() { precondition(!segment.isEmpty) }
        for segment in segments { precondition(!segment.elementsEqual(".".utf8) && !segment.elementsEqual("..".utf8)) }
    }

    let (host, path) = (Array(bytes[..<cut(of: bytes)]), Array(bytes[cut(of: bytes)...]))
    let last = table.explain(host: host.span, path: path.span).last
    let expected = last.flatMap { $0.mismatch == nil ? $0.rule : nil }
    precondition(table.match(host: host.span, path: path.span) == expected)
    return 0
}
