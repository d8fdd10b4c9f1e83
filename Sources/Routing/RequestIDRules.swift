import PoiseHTTP
import PoiseModel

/// `X-Request-Id` and `X-Amzn-Trace-Id`: which of a client's may be kept, and how ours are written.
public enum RequestIDRules {
    public static let countMax = 128

    /// Whether an untrusted client's id may go on to targets and logs: 1...128 letters, digits and `-._~=:;+/@`.
    /// No quote, space, bracket, `%`, `$` or backslash, which some log, shell or query language would read.
    public static func isHarmless(_ value: Span<UInt8>) -> Bool {
        guard (1...countMax).contains(value.count) else { return false }
        let allowed = ASCIISet.identifier
        for index in value.indices where !allowed.contains(value[index]) { return false }
        return true
    }

    /// Writes 128 random bits as 32 lower-case hexadecimal digits.
    @inlinable public static func appendRequestID<Sink: ByteSink & ~Copyable>(
        _ high: UInt64, _ low: UInt64, to sink: inout Sink
    ) {
        sink.appendHex(high, digits: 16)
        sink.appendHex(low, digits: 16)
    }

    /// Writes `Root=1-<8 digits of the time>-<24 digits>`, as ELB and X-Ray do.
    ///
    /// - Parameters:
    ///   - unixSeconds: since 1970.
    ///   - high: random; the upper 32 bits are not used.
    @inlinable public static func appendTraceID<Sink: ByteSink & ~Copyable>(
        unixSeconds: UInt32, _ high: UInt64, _ low: UInt64, to sink: inout Sink
    ) {
        sink.append(text: "Root=1-")
        sink.appendHex(UInt64(unixSeconds), digits: 8)
        sink.append(UInt8(ascii: "-"))
        sink.appendHex(high, digits: 8)
        sink.appendHex(low, digits: 16)
    }
}
