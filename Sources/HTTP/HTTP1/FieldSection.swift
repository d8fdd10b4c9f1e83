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
    private var packed = PackedName()
    private var name = ByteRange.empty
    private var id = FieldID.other
    private var valueStart = 0
    private var valueEnd = 0

    /// - Parameters:
    ///   - cursor: the first unread byte; moved over what was read.
    ///   - end: reads nothing from here on.
    mutating func parse(
        _ bytes: Span<UInt8>, cursor: inout Int, end: Int, countMax: Int, into fields: inout [FieldLine]
    ) -> Outcome {
        var position = cursor
        defer { cursor = position }
        while position < end {
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
                name = ByteRange(start: position, count: 0)
                packed = PackedName()
                phase = .name
                fallthrough

            case .name:
                var packed = self.packed
                var byte = bytes[position]
                while ByteClass.token.contains(byte) {
                    packed.append(byte)
                    position += 1
                    if position == end { break }
                    byte = bytes[position]
                }
                name.count = position - name.start
                guard position < end else {
                    self.packed = packed
                    return .ranOut
                }
                guard byte == ASCII.colon else {
                    return .refused(
                        isBlank(byte) ? .spaceBeforeColon : .init(unexpected: byte, otherwise: .badFieldName))
                }
                id = packed.fieldID(bytes, name)
                position += 1
                phase = .valueStart

            case .valueStart:
                while position < end, isBlank(bytes[position]) { position += 1 }
                guard position < end else { return .ranOut }
                (valueStart, valueEnd) = (position, position)
                phase = .value
                fallthrough

            case .value:
                var byte = bytes[position]
                while isFieldValueByte(byte) {
                    position += 1
                    if position == end { return .ranOut }
                    byte = bytes[position]
                }
                guard byte == ASCII.carriageReturn else {
                    return .refused(.init(unexpected: byte, otherwise: .controlByte))
                }
                valueEnd = position
                position += 1
                phase = .lineEnd

            case .lineEnd:
                guard bytes[position] == ASCII.lineFeed else { return .refused(.bareCR) }
                position += 1
                while valueEnd > valueStart, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
                fields.append(
                    FieldLine(
                        name: name, value: ByteRange(valueStart..<valueEnd), id: id, isHopByHop: id.isHopByHop))
                phase = .lineStart

            case .sectionEnd:
                guard bytes[position] == ASCII.lineFeed else { return .refused(.bareCR) }
                position += 1
                return .complete
            }
        }
        return .ranOut
    }

    /// The bytes moved within their buffer, or to another one.
    mutating func shift(by distance: Int) {
        name.start += distance
        valueStart += distance
        valueEnd += distance
    }
}
