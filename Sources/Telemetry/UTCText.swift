import PoiseModel

/// `2026-11-20T23:20:40`: the part of RFC 3339 that changes once a second, kept from one record to the next.
public struct UTCText: Sendable {
    private var second = Int64.min
    private var text: [UInt8] = []

    /// `2026-11-20`, in UTC.
    public static func day(_ unixSeconds: Int64) -> String {
        var text = UTCText()
        text.write(unixSeconds, UInt8(ascii: "T"))
        return String(decoding: text.text.prefix(10), as: UTF8.self)
    }

    /// `2026-11-20T23:20:40.123Z`
    ///
    /// - Parameter nanoseconds: since 1970.
    public static func timestamp(_ nanoseconds: Int64) -> String {
        var (text, bytes) = (UTCText(), [UInt8]())
        text.append(nanoseconds, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends date and time with milliseconds, in UTC: 24 bytes. RFC 3339 §5.6
    ///
    /// - Parameter nanoseconds: since 1970.
    mutating func append(
        _ nanoseconds: Int64, to sink: inout (some ByteSink & ~Copyable), separator: UInt8 = UInt8(ascii: "T")
    ) {
        let now = nanoseconds.floorDivided(by: 1_000_000_000)
        if now != second {
            second = now
            write(now, separator)
        }
        sink.append(text.span)
        sink.append(UInt8(ascii: "."))
        sink.appendDigits(Int((nanoseconds - now * 1_000_000_000) / 1_000_000), 3)
        sink.append(UInt8(ascii: "Z"))
    }

    /// Source of the arithmetic: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    private mutating func write(_ unixSeconds: Int64, _ separator: UInt8) {
        let days = Int(unixSeconds.floorDivided(by: 86_400))
        let rest = Int(unixSeconds) - days * 86_400
        let shifted = days + 719_468
        let era = Int(Int64(shifted).floorDivided(by: 146_097))
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        text.removeAll(keepingCapacity: true)
        text.appendDigits(max(0, yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), 4)
        text.append(UInt8(ascii: "-"))
        text.appendDigits(month, 2)
        text.append(UInt8(ascii: "-"))
        text.appendDigits(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, 2)
        text.append(separator)
        text.appendDigits(rest / 3600, 2)
        text.append(UInt8(ascii: ":"))
        text.appendDigits(rest / 60 % 60, 2)
        text.append(UInt8(ascii: ":"))
        text.appendDigits(rest % 60, 2)
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

extension ByteSink where Self: ~Copyable {
    /// The last `count` decimal digits of a number that is 0 or more, with leading zeros.
    mutating func appendDigits(_ number: Int, _ count: Int) {
        var divisor = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(number / divisor % 10) + 0x30)
            divisor /= 10
        }
    }
}
