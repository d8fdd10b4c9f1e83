import PoiseLoop
import PoiseModel
import Testing

@Suite("Writing words into a buffer")
struct WriterTests {
    @Test("so many bytes are written as asked for, and none behind them", arguments: 1...8)
    func words(count: Int) {
        let pool = BufferPool()
        let buffer = pool.takeStandard()
        defer { pool.release(buffer) }
        for index in 0..<32 { buffer[index] = 0xEE }
        var writer = BufferWriter(buffer, at: 3)
        writer.append(word: 0x8877_6655_4433_2211, count: count)
        #expect(writer.end == 3 + count && !writer.overflowed)
        for index in 0..<32 {
            let offset = index - 3
            let expected: UInt8 = (0..<count).contains(offset) ? UInt8(0x11 * (offset + 1)) : 0xEE
            #expect(buffer[index] == expected, "byte \(index)")
        }
    }

    @Test("a word that does not fit is not begun", arguments: 2...8)
    func overflow(count: Int) {
        let pool = BufferPool()
        let buffer = pool.takeStandard()
        defer { pool.release(buffer) }
        buffer[buffer.capacity - 1] = 0xEE
        var writer = BufferWriter(buffer, at: buffer.capacity - 1)
        writer.append(word: 0, count: count)
        #expect(writer.overflowed && writer.end == buffer.capacity - 1)
        #expect(buffer[buffer.capacity - 1] == 0xEE)
    }

    @Test("an array and the default of the protocol write the same", arguments: 1...8)
    func sinks(count: Int) {
        struct Plain: ByteSink {
            var bytes: [UInt8] = []
            mutating func append(_ byte: UInt8) { bytes.append(byte) }
            mutating func append(_ span: Span<UInt8>) { for index in span.indices { bytes.append(span[index]) } }
        }
        var plain = Plain()
        var array: [UInt8] = []
        plain.append(word: 0x0807_0605_0403_0201, count: count)
        array.append(word: 0x0807_0605_0403_0201, count: count)
        #expect(plain.bytes == array && array == (1...UInt8(count)).map { $0 })
    }
}
