// rooms: Model Packets
import PoisePackets

/// A preamble: never more consumed than there is, the same answer from its own bytes alone, `needMore` from any part
/// of it, and what was read is read again from what `encode` makes of it.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func proxyProtocol(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    switch ProxyProtocolHeader.parse(bytes.span) {
    case .needMore:
        precondition(bytes.count < ProxyProtocolHeader.bytesMax)
    case .refused(let refusal):
        // More bytes never turn a refusal into anything else.
        let more = bytes + [0x0D, 0x0A]
        precondition(ProxyProtocolHeader.parse(more.span) == .refused(refusal))
    case .complete(let header, let consumed):
        precondition(0 < consumed && consumed <= bytes.count)
        let own = Array(bytes[..<consumed])
        precondition(ProxyProtocolHeader.parse(own.span) == .complete(header, consumed: consumed))
        let part = Array(bytes[..<(cut(of: bytes) % consumed)])
        precondition(ProxyProtocolHeader.parse(part.span) == .needMore)

        for hasChecksum in [false, true] {
            var written: [UInt8] = []
            header.encode(into: &written, hasChecksum: hasChecksum)
            guard case .complete(let again, written.count) = ProxyProtocolHeader.parse(written.span) else {
                preconditionFailure("refuses what it wrote")
            }
            precondition(again.endpoints == header.endpoints && again.command == header.command)
            precondition(again.fields == header.fields && again.unixPath == header.unixPath)
        }
    }
    return 0
}
