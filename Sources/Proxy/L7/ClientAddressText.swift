import PoiseBalancing
import PoiseModel

/// A client's address as text, in place: 45 bytes are enough for any.
struct ClientAddressText: ByteSink {
    private var text = InlineArray<46, UInt8>(repeating: 0)
    private(set) var count = 0

    init() {}

    init(_ address: IPAddress?) { address?.appendText(to: &self) }

    /// Equal for equal addresses, on every machine.
    var hash: UInt64 { hash64(bytes) }

    var bytes: Span<UInt8> {
        @_lifetime(borrow self) get { text.span.extracting(0..<count) }
    }

    func append(to writer: inout some ByteSink) { writer.append(bytes) }

    mutating func append(_ byte: UInt8) {
        text[count] = byte
        count += 1
    }

    mutating func append(_ bytes: Span<UInt8>) {
        for index in bytes.indices { append(bytes[index]) }
    }
}
