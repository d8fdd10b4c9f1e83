import PoiseHTTP
import PoiseModel

/// What a sample says; never below 0.
enum SampleValue: Sendable {
    case count(UInt64)
    /// Written in seconds.
    case time(UInt64)

    static func number(_ number: some BinaryInteger) -> SampleValue { .count(UInt64(clamping: number)) }
    static func nanoseconds(_ nanoseconds: Int64) -> SampleValue { .time(UInt64(clamping: nanoseconds)) }
}

/// Writes samples of the Prometheus text format 0.0.4 into an array.
struct SampleWriter {
    private(set) var bytes: [UInt8] = []
    private var family = ""
    private var hasLabels = false

    mutating func takeBytes(into other: inout [UInt8]) {
        other.append(bytes.span)
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func beginFamily(_ name: String, type: String, help: String) {
        family = name
        bytes.append(text: "# HELP \(name) ")
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes.append(text: "\\\\")
            case UInt8(ascii: "\n"): bytes.append(text: "\\n")
            default: bytes.append(byte)
            }
        }
        bytes.append(text: "\n# TYPE \(name) \(type)\n")
    }

    /// A sample of the family; its labels and its value follow.
    mutating func begin(_ suffix: String = "") {
        bytes.append(text: family)
        bytes.append(text: suffix)
        hasLabels = false
    }

    mutating func label(_ name: String, _ value: String) {
        bytes.append(UInt8(ascii: hasLabels ? "," : "{"))
        hasLabels = true
        bytes.append(text: name)
        bytes.append(text: "=\"")
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes.append(text: "\\\\")
            case UInt8(ascii: "\""): bytes.append(text: "\\\"")
            case UInt8(ascii: "\n"): bytes.append(text: "\\n")
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func value(_ value: UInt64) {
        endLabels()
        bytes.appendDecimal(value)
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func value(_ value: SampleValue) {
        switch value {
        case .count(let count): self.value(count)
        case .time(let nanoseconds): seconds(nanoseconds)
        }
    }

    /// Nanoseconds, written exactly in seconds.
    mutating func seconds(_ nanoseconds: UInt64) {
        endLabels()
        bytes.append(text: Self.secondsText(nanoseconds))
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func endLabels() {
        if hasLabels { bytes.append(UInt8(ascii: "}")) }
        bytes.append(UInt8(ascii: " "))
    }

    /// `0.000032768`
    static func secondsText(_ nanoseconds: UInt64) -> String {
        let rest = nanoseconds % 1_000_000_000
        guard rest > 0 else { return "\(nanoseconds / 1_000_000_000)" }
        var digits = "\(rest + 1_000_000_000)".dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(nanoseconds / 1_000_000_000).\(digits)"
    }
}
