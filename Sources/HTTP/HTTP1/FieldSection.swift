import PoiseBytes

/// Reads field lines up to and with the blank line, from whatever bytes are there: heads and trailer sections alike.
/// RFC 9112 §5
///
///     lineStart --tchar--> name --":"--> valueStart --> value --CR--> lineEnd --LF--> lineStart
///         `------CR------> sectionEnd --LF--> complete
///
/// It can stop after any byte and go on later, so one-byte drips cost the same work as one large read, and the
/// result does not depend on how the bytes were cut. Lines with a bare LF, a bare CR, a NUL or another control byte,
/// folded lines, and white space before the colon are refused: each is read differently by some other parser.
struct FieldSection: Sendable {
    enum Outcome {
        case complete
        /// All bytes before `end` were read.
        case ranOut
        case refused(Refusal.Reason)
    }

    private enum Phase: UInt8 { case lineStart, name, valueStart, value, lineEnd, sectionEnd }

    private var phase = Phase.lineStart
    private var id = FieldID.other
    private var isUnderscoreTwin = false
    private var nameStart = 0
    private var nameEnd = 0
    private var valueStart = 0

    /// - Parameters:
    ///   - cursor: the first unread byte; moved over what was read.
    ///   - end: reads nothing from here on.
    mutating func parse(
        _ bytes: Span<UInt8>, cursor: inout Int, end: Int, countMax: Int, into fields: inout FieldLines
    ) -> Outcome {
        precondition(end <= Int32.max, "a ByteRange reaches 2 GiB")
        var position = cursor
        defer { cursor = position }
        if phase == .lineStart {
            position = Self.readPlainLines(bytes, from: position, to: end, countMax: countMax, into: &fields)
            if position &+ 2 <= end, bytes.pair(at: position) == ASCII.lineEnd {
                position &+= 2
                return .complete
            }
        }
        while position < end {
            // A line that is there as a whole runs through all cases without coming back to the switch.
            switch phase {
            case .lineStart:
                let byte = bytes[position]
                if byte == ASCII.carriageReturn {
                    position += 1
                    phase = .sectionEnd
                    continue
                }
                if isBlank(byte) { return .refused(.obsFold) }
                if byte == ASCII.colon { return .refused(.emptyFieldName) }
                if fields.count >= countMax { return .refused(.tooManyFields) }
                nameStart = position
                phase = .name
                fallthrough

            case .name:
                position = endOfToken(bytes, from: position, to: end)
                guard position < end else { return .ranOut }
                guard bytes[position] == ASCII.colon else {
                    let byte = bytes[position]
                    return .refused(
                        isBlank(byte) ? .spaceBeforeColon : .init(unexpected: byte, otherwise: .badFieldName))
                }
                nameEnd = position
                let name = ByteRange(from: nameStart, to: nameEnd)
                let packed = PackedName(bytes, name)
                id = packed.fieldID(bytes, name)
                isUnderscoreTwin = id == .other && packed.isUnderscoreTwin(bytes, name)
                position += 1
                phase = .valueStart
                fallthrough

            case .valueStart:
                while position < end, isBlank(bytes[position]) { position += 1 }
                guard position < end else { return .ranOut }
                valueStart = position
                phase = .value
                fallthrough

            case .value:
                position = endOfFieldValue(bytes, from: position, to: end)
                guard position < end else { return .ranOut }
                guard bytes[position] == ASCII.carriageReturn else {
                    return .refused(.init(unexpected: bytes[position], otherwise: .controlByte))
                }
                position += 1
                phase = .lineEnd
                fallthrough

            case .lineEnd:
                guard position < end else { return .ranOut }
                guard bytes[position] == ASCII.lineFeed else { return .refused(.bareCR) }
                var valueEnd = position - 1
                while valueEnd > valueStart, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
                fields.append(
                    FieldLine(
                        name: ByteRange(from: nameStart, to: nameEnd), value: ByteRange(from: valueStart, to: valueEnd),
                        id: id, isHopByHop: id.isHopByHop, isUnderscoreTwin: isUnderscoreTwin))
                phase = .lineStart
                position = Self.readPlainLines(bytes, from: position + 1, to: end, countMax: countMax, into: &fields)

            case .sectionEnd:
                guard bytes[position] == ASCII.lineFeed else { return .refused(.bareCR) }
                position += 1
                return .complete
            }
        }
        return .ranOut
    }

    /// Reads lines that are there as a whole in the form nearly all have: letters, digits and hyphens, `: `, a value
    /// that neither begins nor ends with a blank, CR LF. Everything else is left to the byte machine, which would give
    /// the same result for these: this is only what it costs less in one go, without a state to keep.
    ///
    /// - Returns: the start of the first line that was not taken.
    private static func readPlainLines(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, countMax: Int, into fields: inout FieldLines
    ) -> Int {
        var position = start
        repeat {
            if fields.isFull { fields.grow() }
            position = fields.appendPlainLines(bytes, from: position, to: end, countMax: countMax)
        } while fields.isFull && fields.count < countMax
        return position
    }

    /// The bytes moved within their buffer, or to another one.
    mutating func shift(by distance: Int) {
        nameStart += distance
        nameEnd += distance
        valueStart += distance
    }
}
