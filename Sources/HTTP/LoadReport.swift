import PoiseBytes

/// What a target says about its own load in the field `endpoint-load-metrics` of an answer: the parts of it that weights are
/// made of.
///
///     endpoint-load-metrics: TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.queue=3
///     endpoint-load-metrics: JSON {"application_utilization": 0.3, "named_metrics": {"queue": 3}}
///
/// Names and values that weights do not need are passed over. A value is read once from left to right; nothing is allocated.
/// Source: the ORCA proposal of Envoy (issue 6614), xds/data/orca/v3/orca_load_report.proto, gRFC A51.
public struct LoadReport: Sendable, Equatable {
    /// In 65,536ths of what the target can do: `application_utilization`, or `cpu_utilization` where that is not told or 0.
    /// Above 1 for a target beyond its limit, 100 at most; 0 where neither is told.
    public var utilization = 0
    /// `rps_fractional`, in thousandths; 0 where it is not told.
    public var requestRate = 0
    /// `eps`, in thousandths.
    public var errorRate = 0

    /// Larger numbers are faults, or attacks on sums.
    static let utilizationMax = 100.0
    static let rateMax = 1e7

    private enum Key { case application, cpu, requestRate, oldRequestRate, errorRate }
    /// What has been told, in the order of ``Key``; below 0: not yet.
    private struct Values {
        var application = -1.0
        var cpu = -1.0
        var requestRate = -1.0
        var oldRequestRate = -1.0
        var errorRate = -1.0

        /// - Returns: false for a second value of one name, and for one beyond all bounds.
        mutating func take(_ key: Key, _ value: Double) -> Bool {
            func set(_ place: inout Double, _ limit: Double) -> Bool {
                guard place < 0, value >= 0, value <= limit else { return false }
                place = value
                return true
            }
            return switch key {
            case .application: set(&application, utilizationMax)
            case .cpu: set(&cpu, utilizationMax)
            case .requestRate: set(&requestRate, rateMax)
            case .oldRequestRate: set(&oldRequestRate, rateMax)
            case .errorRate: set(&errorRate, rateMax)
            }
        }

        var report: LoadReport {
            var report = LoadReport()
            report.utilization = Int(max(0, application > 0 ? application : cpu) * 65_536)
            report.requestRate = Int(max(0, requestRate > 0 ? requestRate : oldRequestRate) * 1_000)
            report.errorRate = Int(max(0, errorRate) * 1_000)
            return report
        }
    }

    init() {}

    /// - Parameter value: of the field, without white space around it.
    /// - Returns: `nil` for another format, a malformed value, a number that is none, negative or beyond reason.
    public init?(_ bytes: Span<UInt8>, _ value: ByteRange) {
        guard value.count > 5, bytes[value.start + 4] == ASCII.space else { return nil }
        let format = ByteRange(value.start..<value.start + 4)
        let content = ByteRange(value.start + 5..<value.end)
        var values = Values()
        if equalsIgnoringCase(bytes, format, "text") {
            guard Self.readText(bytes, content, &values) else { return nil }
        } else if equalsIgnoringCase(bytes, format, "json") {
            guard Self.readJSON(bytes, content, &values) else { return nil }
        } else {
            return nil
        }
        self = values.report
    }

    // MARK: Names

    /// - Parameter isJSON: Protocol Buffers write names in JSON without underscores, and read both.
    private static func key(_ bytes: Span<UInt8>, _ name: ByteRange, isJSON: Bool) -> Key? {
        switch name.count {
        case 3:
            if equalsIgnoringCase(bytes, name, "eps") { return .errorRate }
            return equalsIgnoringCase(bytes, name, "rps") ? .oldRequestRate : nil
        case 14:
            if equalsIgnoringCase(bytes, name, "rps_fractional") { return .requestRate }
            return isJSON && equalsIgnoringCase(bytes, name, "cpuutilization") ? .cpu : nil
        case 13: return isJSON && equalsIgnoringCase(bytes, name, "rpsfractional") ? .requestRate : nil
        case 15: return equalsIgnoringCase(bytes, name, "cpu_utilization") ? .cpu : nil
        case 22: return isJSON && equalsIgnoringCase(bytes, name, "applicationutilization") ? .application : nil
        case 23: return equalsIgnoringCase(bytes, name, "application_utilization") ? .application : nil
        default: return nil
        }
    }

    // MARK: TEXT

    /// `name=value, name=value`; older targets write a colon.
    private static func readText(_ bytes: Span<UInt8>, _ content: ByteRange, _ values: inout Values) -> Bool {
        var elements = ListElements(content)
        while let element = elements.next(bytes) {
            var split = element.start
            while split < element.end, bytes[split] != 0x3D, bytes[split] != ASCII.colon { split += 1 }
            guard split > element.start, split < element.end else { return false }
            let name = trimmed(bytes, element.start, split)
            guard let key = key(bytes, name, isJSON: false) else { continue }
            guard let number = number(bytes, trimmed(bytes, split + 1, element.end)), values.take(key, number) else {
                return false
            }
        }
        return true
    }

    private static func trimmed(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> ByteRange {
        var (start, end) = (start, end)
        while start < end, isSpace(bytes[start]) { start += 1 }
        while start < end, isSpace(bytes[end - 1]) { end -= 1 }
        return ByteRange(start..<end)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == 0x09 }

    // MARK: JSON

    /// One object of which the members at the top are looked at; what is inside of others is passed over.
    private static func readJSON(_ bytes: Span<UInt8>, _ content: ByteRange, _ values: inout Values) -> Bool {
        let content = trimmed(bytes, content.start, content.end)
        var cursor = content.start
        func skipSpace() { while cursor < content.end, isSpace(bytes[cursor]) { cursor += 1 } }
        func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard cursor < content.end, bytes[cursor] == byte else { return false }
            cursor += 1
            return true
        }
        /// The inside of a string; its opening quote is taken.
        func string() -> ByteRange? {
            let start = cursor
            while cursor < content.end {
                switch bytes[cursor] {
                case 0x22:
                    cursor += 1
                    return ByteRange(start..<cursor - 1)
                case 0x5C: cursor += 2
                default: cursor += 1
                }
            }
            return nil
        }
        /// An object or list, its opening bracket taken. Which bracket closes which is not looked at.
        func skipNested() -> Bool {
            var depth = 1
            while cursor < content.end {
                let byte = bytes[cursor]
                cursor += 1
                switch byte {
                case 0x7B, 0x5B: depth += 1
                case 0x7D, 0x5D:
                    depth -= 1
                    if depth == 0 { return true }
                case 0x22: if string() == nil { return false }
                default: break
                }
            }
            return false
        }
        func scalar() -> ByteRange {
            let start = cursor
            while cursor < content.end, bytes[cursor] != ASCII.comma, bytes[cursor] != 0x7D, !isSpace(bytes[cursor]) {
                cursor += 1
            }
            return ByteRange(start..<cursor)
        }

        guard take(0x7B) else { return false }
        if take(0x7D) { return cursor == content.end }
        repeat {
            guard take(0x22), let name = string(), take(ASCII.colon) else { return false }
            let key = key(bytes, name, isJSON: true)
            if take(0x7B) || take(0x5B) {
                guard key == nil, skipNested() else { return false }
            } else {
                // Numbers may stand in quotes: 64-bit ones do.
                guard let value = take(0x22) ? string() : scalar(), !value.isEmpty || key == nil else { return false }
                if let key {
                    guard let number = number(bytes, value), values.take(key, number) else { return false }
                }
            }
        } while take(ASCII.comma)
        return take(0x7D) && cursor == content.end
    }

    // MARK: Numbers

    /// `12`, `0.3`, `1e-05`. No sign in front, no `NaN`, no infinity; 40 bytes at most.
    static func number(_ bytes: Span<UInt8>, _ range: ByteRange) -> Double? {
        guard (1...40).contains(range.count) else { return nil }
        var cursor = range.start
        var value = 0.0
        var digits = 0
        func digit() -> Double? {
            guard cursor < range.end, (0x30...0x39).contains(bytes[cursor]) else { return nil }
            defer { cursor += 1 }
            return Double(bytes[cursor] - 0x30)
        }
        while let digit = digit() {
            value = value * 10 + digit
            digits += 1
        }
        if cursor < range.end, bytes[cursor] == ASCII.dot {
            cursor += 1
            var place = 0.1
            while let digit = digit() {
                value += digit * place
                place /= 10
                digits += 1
            }
        }
        guard digits > 0 else { return nil }
        if cursor < range.end, bytes[cursor] | 0x20 == 0x65 {
            cursor += 1
            let isNegative = cursor < range.end && bytes[cursor] == 0x2D
            if isNegative || cursor < range.end && bytes[cursor] == 0x2B { cursor += 1 }
            let start = cursor
            var exponent = 0
            while let digit = digit() { exponent = min(exponent * 10 + Int(digit), 400) }
            guard cursor > start else { return nil }
            for _ in 0..<exponent { value = isNegative ? value / 10 : value * 10 }
        }
        return cursor == range.end && value.isFinite ? value : nil
    }
}

extension ResponseHead {
    /// What the target says about its load, and takes that out of the head: clients are not told.
    ///
    /// The binary form `endpoint-load-metrics-bin` is taken out as well, and not read.
    /// - Returns: `nil` where nothing is said; `.some(nil)` where it cannot be read. Of several fields the first counts.
    /// - Cost: a pass over the fields, no allocation. For heads whose parsing is complete.
    public mutating func takeLoadReport(_ bytes: Span<UInt8>) -> LoadReport?? {
        var found: LoadReport??
        for index in fields.indices {
            let field = fields[index]
            guard field.id == .other, field.name.count == 21 || field.name.count == 25 else { continue }
            let isText = equalsIgnoringCase(bytes, field.name, "endpoint-load-metrics")
            guard isText || equalsIgnoringCase(bytes, field.name, "endpoint-load-metrics-bin") else { continue }
            fields.dropUnrecognised(at: index)
            if found == nil { found = .some(isText ? LoadReport(bytes, field.value) : nil) }
        }
        return found
    }
}
