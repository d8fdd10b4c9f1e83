import PoiseHTTP
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseTelemetry

/// What a logged request costs: the worker's push into its ring, and the writer's pop, format and share of a write.
@main enum LogBench {
    static let batch = 2048
    static let batches = 100
    static let rounds = 7

    static let record = AccessRecord(
        endedAt: 1_763_680_840_123_000_000, listener: 0, rule: 0, group: 0, target: 0, status: 200, reason: .answered,
        refusal: nil, method: .get, tries: 1, bytesIn: 0, bytesOut: 1024, waitMicroseconds: 12,
        targetMicroseconds: 843, totalMicroseconds: 901, requestIDHigh: 0x1234_5678_9ABC_DEF0, requestIDLow: 42)
    static let client = Array("192.0.2.17".utf8)
    static let method = Array("GET".utf8)
    static let authority = Array("shop.example.com".utf8)
    static let path = Array("/catalogue/items/4711?color=green&size=xl".utf8)

    static func main() throws {
        for format in LogSettings.Format.allCases {
            var push: [Double] = []
            var formatting: [Double] = []
            var bytes = 0
            for _ in 0..<rounds {
                let result = run(format)
                push.append(result.push)
                formatting.append(result.format)
                bytes = result.bytes
            }
            print(
                "\(format.rawValue): push \(push.sorted()[rounds / 2]) ns, pop + format "
                    + "\(formatting.sorted()[rounds / 2]) ns, \(bytes) bytes a record (CPU time, medians of \(rounds))")
        }
        let writes = try (0..<rounds).map { _ in try write() }.sorted()
        print("write(2) of 64 KiB to a file in /tmp: \(writes[rounds / 2]) ns per KiB")
    }

    static func run(_ format: LogSettings.Format) -> (push: Double, format: Double, bytes: Int) {
        let ring = RecordRing(capacity: 1 << 20)
        var formatter = AccessLogFormatter(format: format)
        let names = LogNames()
        var words = [UInt64](repeating: 0, count: AccessRecord.wordCount)
        var text: [UInt8] = []
        var line = ByteBatch(capacity: 1 << 20)
        var (pushing, formatting, bytes) = (Nanoseconds.zero, Nanoseconds.zero, 0)
        for _ in 0..<batches {
            let start = Clock.threadCPU
            for _ in 0..<batch {
                record.push(
                    to: ring, client: client.span, method: method.span, authority: authority.span, target: path.span,
                    requestID: Span())
            }
            let between = Clock.threadCPU
            while let (record, texts) = AccessRecord.pop(from: ring, &words, &text) {
                formatter.append(record, texts, of: text, names: names, to: &line)
            }
            let end = Clock.threadCPU
            pushing = pushing + (between - start)
            formatting = formatting + (end - between)
            bytes = line.count / batch
            line.removeAll()
        }
        precondition(ring.droppedCount == 0, "the ring is too small for a batch")
        let count = Double(batch * batches)
        return (Double(pushing.count) / count, Double(formatting.count) / count, bytes)
    }

    /// Nanoseconds of CPU per KiB.
    static func write() throws(SystemError) -> Double {
        let path = "/tmp/poise-log-bench.\(ProcessLimits.processID)"
        let file = try Files.openForAppending(path)
        defer { Files.remove(path) }
        let block = [UInt8](repeating: 0x61, count: 64 * 1024)
        let start = Clock.threadCPU
        for _ in 0..<256 { try Files.write(block.span, to: file.number) }
        return Double((Clock.threadCPU - start).count) / Double(256 * 64)
    }
}
