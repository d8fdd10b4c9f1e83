import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// What is known of an ended exchange, as a worker hands it to the log writer: fixed fields, then texts.
public struct AccessRecord: Sendable, Equatable {
    /// Nanoseconds since 1970.
    public var endedAt: Int64
    public var listenerSlot: Int
    /// Index, the number of rules for the default action, -1 where no rule was asked.
    public var rule: Int
    /// -1 without a group.
    public var groupSlot: Int
    /// Index in the group, -1 without a target.
    public var target: Int
    public var status: Int
    public var reason: EndReason
    public var refusal: Refusal.Reason?
    public var method: HTTPMethod
    public var tries: Int
    /// Body bytes.
    public var bytesIn: Int
    public var bytesOut: Int
    /// From the head's end to the choice of the (last) target.
    public var waitMicroseconds: Int
    /// From that choice to the end of the answer's head; -1 without an answer.
    public var targetMicroseconds: Int
    public var totalMicroseconds: Int
    public var requestIDHigh: UInt64
    public var requestIDLow: UInt64

    /// Words of a record in the ring: the numbers, then the lengths of the texts.
    public static var wordCount: Int { 16 }

    func words(_ lengths: UInt64) -> InlineArray<16, UInt64> {
        [
            UInt64(bitPattern: endedAt), UInt64(bitPattern: Int64(listenerSlot)), UInt64(bitPattern: Int64(rule)),
            UInt64(bitPattern: Int64(groupSlot)), UInt64(bitPattern: Int64(target)),
            UInt64(status) | UInt64(reason.rawValue) << 16 | UInt64(refusal.map { $0.rawValue + 1 } ?? 0) << 24
                | UInt64(method.rawValue) << 32,
            UInt64(tries), UInt64(bytesIn), UInt64(bytesOut), UInt64(bitPattern: Int64(waitMicroseconds)),
            UInt64(bitPattern: Int64(targetMicroseconds)), UInt64(bitPattern: Int64(totalMicroseconds)),
            requestIDHigh, requestIDLow, lengths, 0,
        ]
    }

    /// Takes a record out of a ring; `nil` when there is none.
    ///
    /// - Parameters:
    ///   - words: ``wordCount`` words of scratch.
    ///   - text: scratch; afterwards the texts one behind the other.
    public static func pop(
        from ring: RecordRing, _ words: inout [UInt64], _ text: inout [UInt8]
    ) -> (record: AccessRecord, texts: AccessTexts)? {
        guard ring.pop(into: &words, &text) else { return nil }
        func int(_ index: Int) -> Int { Int(truncatingIfNeeded: words[index]) }
        let refusal = UInt8(truncatingIfNeeded: words[5] >> 24)
        let record = AccessRecord(
            endedAt: Int64(bitPattern: words[0]), listenerSlot: int(1), rule: int(2), groupSlot: int(3),
            target: int(4), status: int(5) & 0xFFFF,
            reason: EndReason(rawValue: UInt8(truncatingIfNeeded: words[5] >> 16)) ?? .answered,
            refusal: refusal == 0 ? nil : Refusal.Reason(rawValue: refusal - 1),
            method: HTTPMethod(rawValue: UInt8(truncatingIfNeeded: words[5] >> 32)) ?? .other, tries: int(6),
            bytesIn: int(7), bytesOut: int(8), waitMicroseconds: int(9), targetMicroseconds: int(10),
            totalMicroseconds: int(11), requestIDHigh: words[12], requestIDLow: words[13])
        return (record, AccessTexts(lengths: words[14]))
    }
}

/// Where the texts of a record lie, one behind the other.
public struct AccessTexts: Sendable, Equatable {
    public let client: Range<Int>
    public let method: Range<Int>
    /// `host:port` as the client named it.
    public let authority: Range<Int>
    /// The request target as sent, at most 2,048 bytes of it.
    public let target: Range<Int>
    /// The client's own request id, empty unless it was kept.
    public let requestID: Range<Int>

    init(lengths: UInt64) {
        func length(_ shift: UInt64, _ bits: UInt64) -> Int { Int(lengths >> shift & (1 << bits - 1)) }
        client = 0..<length(0, 8)
        method = client.upperBound..<client.upperBound + length(8, 8)
        authority = method.upperBound..<method.upperBound + length(16, 16)
        target = authority.upperBound..<authority.upperBound + length(32, 16)
        requestID = target.upperBound..<target.upperBound + length(48, 16)
    }
}

/// One worker's end of the access log: encodes records into its ring and rings the writer's bell once a wake-up.
public final class AccessLog {
    private let ring: RecordRing
    private let bell: Bell
    private var texts: [UInt8] = []
    private var hasNews = false

    private static var textMax: Int { 2048 }

    public init(ring: RecordRing, bell: Bell) { (self.ring, self.bell) = (ring, bell) }

    func append(
        _ record: AccessRecord, head: RequestHead, buffer: Buffer?, requestID: ByteRange, client: ClientConnection
    ) {
        texts.removeAll(keepingCapacity: true)
        client.addressText.append(to: &texts)
        var lengths = UInt64(texts.count)
        if let buffer {
            lengths |= append(head.methodRange, of: buffer, max: 255) << 8
            lengths |= append(head.authority, of: buffer, max: Self.textMax) << 16
            lengths |= append(head.target, of: buffer, max: Self.textMax) << 32
            lengths |= append(requestID, of: buffer, max: Self.textMax) << 48
        }
        ring.push(record.words(lengths).span, texts.span)
        hasNews = true
    }

    private func append(_ range: ByteRange, of buffer: Buffer, max: Int) -> UInt64 {
        let count = min(range.count, max)
        if count > 0 { texts.append(buffer.bytes(range.start, range.start + count)) }
        return UInt64(count)
    }

    func endOfWakeUp() {
        guard hasNews else { return }
        hasNews = false
        bell.ring()
    }
}
