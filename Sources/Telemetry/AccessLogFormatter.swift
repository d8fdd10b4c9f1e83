import PoiseHTTP
import PoiseModel
import PoiseProxy
import PoiseRouting

/// Access records as lines: JSON for programs, or a form for people to read.
///
/// One record is one line whatever its texts hold: the JSON form escapes what could end a string or move a cursor, the
/// console form everything but printable ASCII. On the writer's thread only; appends to reused memory.
public struct AccessLogFormatter: Sendable {
    private let format: LogSettings.Format
    private let isColored: Bool
    private var time = UTCText()
    /// `"reason":"…","explanation":"…"` by the reason's raw value.
    private let reasons: [[UInt8]]

    /// - Parameter isColored: ANSI colours in the console form.
    public init(format: LogSettings.Format, isColored: Bool = false) {
        (self.format, self.isColored) = (format, isColored)
        let last = EndReason.allCases.map(\.rawValue).max() ?? 0
        reasons = (0...last).map { raw in
            guard let reason = EndReason(rawValue: raw) else { return [] }
            return Self.reason(reason, nil)
        }
    }

    private static func reason(_ reason: EndReason, _ refusal: Refusal.Reason?) -> [UInt8] {
        Array("\"reason\":\"\(reason.name)\",\"explanation\":\"\(reason.words(for: refusal))\"".utf8)
    }

    /// Appends one line with its end.
    ///
    /// - Parameter text: what ``AccessRecord/pop(from:_:_:)`` left, where `texts` lie.
    public mutating func append(
        _ record: AccessRecord, _ texts: AccessTexts, of text: [UInt8], names: LogNames,
        to line: inout (some ByteSink & ~Copyable)
    ) {
        let bytes = text.span
        switch format {
        case .json: appendJSON(record, texts, bytes, names, &line)
        case .console: appendConsole(record, texts, bytes, names, &line)
        }
    }

    // MARK: JSON

    private mutating func appendJSON(
        _ record: AccessRecord, _ texts: AccessTexts, _ bytes: Span<UInt8>, _ names: LogNames,
        _ line: inout (some ByteSink & ~Copyable)
    ) {
        line.append(text: "{\"time\":\"")
        time.append(record.endedAt, to: &line)
        line.append(text: "\",\"client\":")
        Self.quote(bytes.extracting(texts.client), &line)
        if !texts.announced.isEmpty { AnnouncedFields(bytes.extracting(texts.announced)).appendJSON(to: &line) }
        line.append(text: ",\"method\":")
        Self.quote(bytes.extracting(texts.method), &line)
        line.append(text: ",\"host\":")
        Self.quote(bytes.extracting(texts.authority), &line)
        let (path, query) = Self.split(bytes.extracting(texts.target))
        let target = bytes.extracting(texts.target)
        line.append(text: ",\"path\":")
        Self.quote(target.extracting(path), &line)
        if let query {
            line.append(text: ",\"query\":\"")
            line.appendJSONEscaped(target.extracting(query))
            line.append(UInt8(ascii: "\""))
        }
        line.append(text: ",\"protocol\":")
        if let version = record.version {
            line.append(UInt8(ascii: "\""))
            line.append(text: version.name)
            line.append(UInt8(ascii: "\""))
        } else {
            line.append(text: "null")
        }
        if let tls = record.tls {
            line.append(text: ",\"tls\":\"")
            line.append(text: tls.name)
            line.append(UInt8(ascii: "\""))
        }
        line.append(text: ",\"status\":")
        line.appendDecimal(record.status)
        line.append(UInt8(ascii: ","))
        if record.refusal == nil {
            let reason = reasons[Int(record.reason.rawValue)]
            line.append(reason.span)
        } else {
            let reason = Self.reason(record.reason, record.refusal)
            line.append(reason.span)
        }
        if let refusal = record.refusal {
            line.append(text: ",\"refusal\":\"")
            line.append(text: refusal.name)
            line.append(UInt8(ascii: "\""))
        }
        line.append(text: ",\"listener\":")
        Self.name(record.listener, names, &line)
        line.append(text: ",\"rule\":")
        Self.name(record.rule, names, &line)
        line.append(text: ",\"group\":")
        Self.name(record.group, names, &line)
        line.append(text: ",\"target\":")
        Self.name(record.target, names, &line)
        line.append(text: ",\"tries\":")
        line.appendDecimal(record.tries)
        line.append(text: ",\"bytes_in\":")
        line.appendDecimal(record.bytesIn)
        line.append(text: ",\"bytes_out\":")
        line.appendDecimal(record.bytesOut)
        line.append(text: ",\"wait_us\":")
        line.appendDecimal(record.waitMicroseconds)
        line.append(text: ",\"target_us\":")
        if record.targetMicroseconds >= 0 {
            line.appendDecimal(record.targetMicroseconds)
        } else {
            line.append(text: "null")
        }
        line.append(text: ",\"total_us\":")
        line.appendDecimal(record.totalMicroseconds)
        line.append(text: ",\"request_id\":\"")
        if texts.requestID.isEmpty {
            RequestIDRules.appendRequestID(record.requestIDHigh, record.requestIDLow, to: &line)
        } else {
            line.appendJSONEscaped(bytes.extracting(texts.requestID))
        }
        line.append(text: "\"}\n")
    }

    /// A string; `null` for an empty one: what could not be read of the request.
    private static func quote(_ text: Span<UInt8>, _ line: inout (some ByteSink & ~Copyable)) {
        guard !text.isEmpty else { return line.append(text: "null") }
        line.append(UInt8(ascii: "\""))
        line.appendJSONEscaped(text)
        line.append(UInt8(ascii: "\""))
    }

    /// `null` without an object, `""` for one whose name is forgotten.
    private static func name(_ id: Int, _ names: LogNames, _ line: inout (some ByteSink & ~Copyable)) {
        guard id != 0 else { return line.append(text: "null") }
        line.append(UInt8(ascii: "\""))
        if let name = names.name(id) { line.appendJSONEscaped(name.span) }
        line.append(UInt8(ascii: "\""))
    }

    /// The path (without scheme and authority of the absolute form) and the query of a request target.
    private static func split(_ target: Span<UInt8>) -> (path: Range<Int>, query: Range<Int>?) {
        var start = 0
        if !target.isEmpty, target[0] != UInt8(ascii: "/") {
            var slashes = 0
            var index = 0
            while index < target.count, target[index] != UInt8(ascii: "?") {
                if target[index] == UInt8(ascii: "/") {
                    slashes += 1
                    if slashes == 3 {
                        start = index
                        break
                    }
                }
                index += 1
            }
        }
        var end = start
        while end < target.count, target[end] != UInt8(ascii: "?") { end += 1 }
        return (start..<end, end < target.count ? end + 1..<target.count : nil)
    }

    // MARK: Console

    private mutating func appendConsole(
        _ record: AccessRecord, _ texts: AccessTexts, _ bytes: Span<UInt8>, _ names: LogNames,
        _ line: inout (some ByteSink & ~Copyable)
    ) {
        time.append(record.endedAt, to: &line, separator: UInt8(ascii: " "))
        line.append(UInt8(ascii: " "))
        Self.harmless(bytes.extracting(texts.client), &line)
        line.append(UInt8(ascii: " "))
        paint(record.status, &line)
        line.append(UInt8(ascii: " "))
        Self.harmless(bytes.extracting(texts.method), &line)
        line.append(UInt8(ascii: " "))
        Self.harmless(bytes.extracting(texts.authority), &line)
        let target = bytes.extracting(texts.target)
        let (path, query) = Self.split(target)
        Self.harmless(target.extracting(path), &line)
        if let query {
            line.append(UInt8(ascii: "?"))
            if !query.isEmpty { Self.harmless(target.extracting(query), &line) }
        }
        if let version = record.version {
            line.append(UInt8(ascii: " "))
            line.append(text: version.name)
        }
        if let tls = record.tls {
            line.append(UInt8(ascii: " "))
            line.append(text: tls.name)
        }
        line.append(text: " -> ")
        consoleName(record.group, names, &line)
        if record.target != 0 {
            line.append(UInt8(ascii: " "))
            consoleName(record.target, names, &line)
        }
        line.append(text: " in ")
        line.appendDecimal(record.totalMicroseconds)
        line.append(text: " us (wait ")
        line.appendDecimal(record.waitMicroseconds)
        if record.targetMicroseconds >= 0 {
            line.append(text: ", target ")
            line.appendDecimal(record.targetMicroseconds)
        }
        line.append(text: ") received ")
        line.appendDecimal(record.bytesIn)
        line.append(text: " B, sent ")
        line.appendDecimal(record.bytesOut)
        line.append(text: " B, tries ")
        line.appendDecimal(record.tries)
        line.append(text: ", listener ")
        consoleName(record.listener, names, &line)
        line.append(text: ", rule ")
        consoleName(record.rule, names, &line)
        line.append(text: ", id ")
        if texts.requestID.isEmpty {
            RequestIDRules.appendRequestID(record.requestIDHigh, record.requestIDLow, to: &line)
        } else {
            Self.harmless(bytes.extracting(texts.requestID), &line)
        }
        if !texts.announced.isEmpty {
            for (name, value) in AnnouncedFields(bytes.extracting(texts.announced)).named {
                line.append(text: ", \(name) ")
                Self.harmless(value.span, &line)
            }
        }
        line.append(text: ": ")
        line.append(text: record.reason.words(for: record.refusal))
        if let refusal = record.refusal {
            line.append(text: " (")
            line.append(text: refusal.name)
            line.append(UInt8(ascii: ")"))
        }
        line.append(UInt8(ascii: "\n"))
    }

    /// The status, green to red by class; `---` where the client got none.
    private func paint(_ status: Int, _ line: inout (some ByteSink & ~Copyable)) {
        if isColored {
            line.append(text: "\u{1B}[")
            switch status {
            case 200..<300: line.append(text: "32m")
            case 300..<400: line.append(text: "36m")
            case 400..<500: line.append(text: "33m")
            default: line.append(text: "31m")
            }
        }
        if status == 0 { line.append(text: "---") } else { line.appendDecimal(status) }
        if isColored { line.append(text: "\u{1B}[0m") }
    }

    private func consoleName(_ id: Int, _ names: LogNames, _ line: inout (some ByteSink & ~Copyable)) {
        guard let name = names.name(id) else { return line.append(text: id == 0 ? "-" : "(removed)") }
        Self.harmless(name.span, &line, keepsSpaces: true)
    }

    /// Printable ASCII as it is, `\` doubled, all else as `\x1b`: a line cannot be ended, forged or coloured from
    /// outside. `-` for nothing.
    private static func harmless(
        _ text: Span<UInt8>, _ line: inout (some ByteSink & ~Copyable), keepsSpaces: Bool = false
    ) {
        guard !text.isEmpty else { return line.append(UInt8(ascii: "-")) }
        var plainFrom = 0
        for index in text.indices {
            let byte = text[index]
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\\") { continue }
            if byte == 0x20, keepsSpaces { continue }
            line.append(text.extracting(plainFrom..<index))
            plainFrom = index + 1
            guard byte != UInt8(ascii: "\\") else {
                line.append(text: "\\\\")
                continue
            }
            line.append(text: "\\x")
            line.append(hexadecimal(byte >> 4))
            line.append(hexadecimal(byte & 15))
        }
        line.append(text.extracting(plainFrom..<text.count))
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 0x30 : digit + 0x57 }
}
