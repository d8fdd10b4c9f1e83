import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoiseTLS

/// What is known of an ended exchange, as a worker hands it to the log writer: fixed fields, then texts.
public struct AccessRecord: Sendable, Equatable {
    /// Nanoseconds since 1970.
    public var endedAt: Int64
    /// Objects by the ``CounterBlock/id`` of their counters, which is never used again: a record that outlives its
    /// object cannot get the name of another.
    public var listener: Int
    /// 0 where no rule was asked.
    public var rule: Int
    /// 0 without a group.
    public var group: Int
    /// The last one that was tried, 0 without any.
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
    /// In which the request came; `nil` where its version could not be read.
    public var version: MessageVersion?
    /// `nil` for plain text.
    public var tls: TLSSession.Version?

    public enum MessageVersion: UInt8, Sendable {
        case http10, http11, http2

        public var name: StaticString {
            switch self {
            case .http10: "HTTP/1.0"
            case .http11: "HTTP/1.1"
            case .http2: "HTTP/2.0"
            }
        }
    }

    /// Words of a record in the ring: the numbers, then the lengths of the texts.
    public static var wordCount: Int { 16 }

    public init(
        endedAt: Int64, listener: Int, rule: Int, group: Int, target: Int, status: Int, reason: EndReason,
        refusal: Refusal.Reason?, method: HTTPMethod, tries: Int, bytesIn: Int, bytesOut: Int, waitMicroseconds: Int,
        targetMicroseconds: Int, totalMicroseconds: Int, requestIDHigh: UInt64, requestIDLow: UInt64,
        version: MessageVersion? = nil, tls: TLSSession.Version? = nil
    ) {
        (self.endedAt, self.listener, self.rule, self.group) = (endedAt, listener, rule, group)
        (self.target, self.status, self.reason, self.refusal) = (target, status, reason, refusal)
        (self.method, self.tries, self.bytesIn, self.bytesOut) = (method, tries, bytesIn, bytesOut)
        (self.waitMicroseconds, self.targetMicroseconds) = (waitMicroseconds, targetMicroseconds)
        self.totalMicroseconds = totalMicroseconds
        (self.requestIDHigh, self.requestIDLow) = (requestIDHigh, requestIDLow)
        (self.version, self.tls) = (version, tls)
    }

    /// Puts the record into a ring, with its texts. From the ring's producer only.
    ///
    /// - Parameters:
    ///   - client: at most 255 bytes, as `method`; the others at most 65,535.
    ///   - authority: `host:port` as the client named it.
    ///   - requestID: empty unless the client's own was kept.
    ///   - announced: fields of a PROXY header, as `ProxyProtocolFields` writes them.
    /// - Returns: false when the ring is full and the record is dropped.
    @discardableResult
    public func push(
        to ring: RecordRing, client: Span<UInt8>, method: Span<UInt8>, authority: Span<UInt8>, target: Span<UInt8>,
        requestID: Span<UInt8>, announced: Span<UInt8> = Span()
    ) -> Bool {
        let length =
            client.count + method.count + authority.count + target.count + requestID.count + announced.count
        guard ring.begin(Self.wordCount * 8 + length) else { return false }
        let words = words(
            UInt64(client.count) | UInt64(method.count) << 8 | UInt64(authority.count) << 16
                | UInt64(target.count) << 32 | UInt64(requestID.count) << 48, UInt64(announced.count))
        ring.append(words.span)
        ring.append(client)
        ring.append(method)
        ring.append(authority)
        ring.append(target)
        ring.append(requestID)
        if !announced.isEmpty { ring.append(announced) }
        ring.commit()
        return true
    }

    private func words(_ lengths: UInt64, _ announced: UInt64) -> InlineArray<16, UInt64> {
        [
            UInt64(bitPattern: endedAt), UInt64(listener), UInt64(rule), UInt64(group), UInt64(target),
            UInt64(status) | UInt64(reason.rawValue) << 16 | UInt64(refusal.map { $0.rawValue + 1 } ?? 0) << 24
                | UInt64(method.rawValue) << 32,
            UInt64(tries), UInt64(bytesIn), UInt64(bytesOut), UInt64(bitPattern: Int64(waitMicroseconds)),
            UInt64(bitPattern: Int64(targetMicroseconds)), UInt64(bitPattern: Int64(totalMicroseconds)),
            requestIDHigh, requestIDLow, lengths,
            UInt64(version.map { $0.rawValue + 1 } ?? 0) | UInt64(tls.map { $0.rawValue + 1 } ?? 0) << 8
                | announced << 48,
        ]
    }

    /// Takes a record out of a ring; `nil` when there is none.
    ///
    /// - Parameters:
    ///   - words: ``wordCount`` words of scratch.
    ///   - text: scratch; afterwards it begins with the texts, one behind the other.
    public static func pop(
        from ring: RecordRing, _ words: inout [UInt64], _ text: inout [UInt8]
    ) -> (record: AccessRecord, texts: AccessTexts)? {
        guard ring.pop(into: &words, &text) else { return nil }
        func int(_ index: Int) -> Int { Int(truncatingIfNeeded: words[index]) }
        func choice(_ word: UInt64) -> UInt8? { word & 0xFF == 0 ? nil : UInt8(word & 0xFF) - 1 }
        let record = AccessRecord(
            endedAt: Int64(bitPattern: words[0]), listener: int(1), rule: int(2), group: int(3),
            target: int(4), status: int(5) & 0xFFFF,
            reason: EndReason(rawValue: UInt8(truncatingIfNeeded: words[5] >> 16)) ?? .answered,
            refusal: choice(words[5] >> 24).flatMap(Refusal.Reason.init),
            method: HTTPMethod(rawValue: UInt8(truncatingIfNeeded: words[5] >> 32)) ?? .other, tries: int(6),
            bytesIn: int(7), bytesOut: int(8), waitMicroseconds: int(9), targetMicroseconds: int(10),
            totalMicroseconds: int(11), requestIDHigh: words[12], requestIDLow: words[13],
            version: choice(words[15]).flatMap(MessageVersion.init),
            tls: choice(words[15] >> 8).flatMap(TLSSession.Version.init))
        return (record, AccessTexts(lengths: words[14], announced: Int(words[15] >> 48)))
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
    /// Fields of the PROXY header that the client's connection began with, as `ProxyProtocolFields` writes them.
    public let announced: Range<Int>

    init(lengths: UInt64, announced count: Int) {
        func length(_ shift: UInt64, _ bits: UInt64) -> Int { Int(lengths >> shift & (1 << bits - 1)) }
        client = 0..<length(0, 8)
        method = client.upperBound..<client.upperBound + length(8, 8)
        authority = method.upperBound..<method.upperBound + length(16, 16)
        target = authority.upperBound..<authority.upperBound + length(32, 16)
        requestID = target.upperBound..<target.upperBound + length(48, 16)
        announced = requestID.upperBound..<requestID.upperBound + count
    }
}

/// One worker's end of the access log: encodes records into its ring and rings the writer's bell once a wake-up.
public final class AccessLog {
    private let ring: RecordRing
    private let bell: Bell
    private var hasNews = false

    private static var textMax: Int { 2048 }

    public init(ring: RecordRing, bell: Bell) { (self.ring, self.bell) = (ring, bell) }

    func append(
        _ record: AccessRecord, head: RequestHead, buffer: Buffer?, requestID: ByteRange, client: ClientAddressText,
        announced: AnnouncedClient?
    ) {
        hasNews = true
        let fields = announced?.fields ?? []
        guard let buffer else {
            record.push(
                to: ring, client: client.bytes, method: Span(), authority: Span(), target: Span(), requestID: Span(),
                announced: fields.span)
            return
        }
        let (method, authority) = (Self.cut(head.methodRange, 255), Self.cut(head.authority))
        let (target, id) = (Self.cut(head.target), Self.cut(requestID))
        record.push(
            to: ring, client: client.bytes, method: buffer.bytes(method.start, method.end),
            authority: buffer.bytes(authority.start, authority.end), target: buffer.bytes(target.start, target.end),
            requestID: buffer.bytes(id.start, id.end), announced: fields.span)
    }

    private static func cut(_ range: ByteRange, _ max: Int = textMax) -> ByteRange {
        ByteRange(range.start..<range.start + min(range.count, max))
    }

    func endOfWakeUp() {
        guard hasNews else { return }
        hasNews = false
        bell.ring()
    }
}
