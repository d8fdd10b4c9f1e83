import PoiseModel

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the date format of HTTP (IMF-fixdate). RFC 9110 §5.6.7
public enum HTTPDate {
    /// Always so many bytes, years 0...9999.
    public static var byteCount: Int { 29 }

    /// Appends the date of `unixSeconds`: seconds since 1970, without leap seconds. Beyond year 9999 the last second
    /// of it is written, before year 0 the first. Source of the arithmetic: Howard Hinnant, "chrono-compatible
    /// low-level date algorithms", `civil_from_days`.
    @inlinable public static func append(unixSeconds: Int64, to sink: inout (some ByteSink & ~Copyable)) {
        let seconds = Int(min(max(unixSeconds, -62_167_219_200), 253_402_300_799))
        let dayNumber = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let secondOfDay = seconds - dayNumber * 86_400
        // 1970-01-01 was a Thursday.
        let weekday = ((dayNumber + 4) % 7 + 7) % 7

        // Days since 0000-03-01, in eras of 400 years; a year that begins in March has its leap day last.
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)

        sink.append(text: weekdayName(weekday))
        sink.appendTwoDigits(day)
        sink.append(text: monthName(month))
        sink.appendTwoDigits(year / 100)
        sink.appendTwoDigits(year % 100)
        sink.append(0x20)
        sink.appendTwoDigits(secondOfDay / 3600)
        sink.append(0x3A)
        sink.appendTwoDigits(secondOfDay / 60 % 60)
        sink.append(0x3A)
        sink.appendTwoDigits(secondOfDay % 60)
        sink.append(text: " GMT")
    }

    @usableFromInline static func weekdayName(_ number: Int) -> String {
        switch number {
        case 0: "Sun, "
        case 1: "Mon, "
        case 2: "Tue, "
        case 3: "Wed, "
        case 4: "Thu, "
        case 5: "Fri, "
        default: "Sat, "
        }
    }

    @usableFromInline static func monthName(_ number: Int) -> String {
        switch number {
        case 1: " Jan "
        case 2: " Feb "
        case 3: " Mar "
        case 4: " Apr "
        case 5: " May "
        case 6: " Jun "
        case 7: " Jul "
        case 8: " Aug "
        case 9: " Sep "
        case 10: " Oct "
        case 11: " Nov "
        default: " Dec "
        }
    }
}
