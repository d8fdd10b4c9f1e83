// rooms: Model Packets
import PoisePackets

/// A DNS message: what was read is read again from what it is written as, and no name is longer than a name.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func dnsMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    guard bytes.count <= 65_535, let message = try? DNSMessage(parsing: bytes.span) else { return 0 }
    for record in message.answers + message.authorities + message.additionals {
        precondition((1...255).contains(record.name.wire.count) && !record.name.description.isEmpty)
    }
    let written = message.wire
    guard let again = try? DNSMessage(parsing: written.span) else { preconditionFailure("refuses what it wrote") }
    precondition(again == message)
    return 0
}
