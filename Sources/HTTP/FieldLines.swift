import PoiseBytes

/// The field lines of a head or trailer section, in the order sent.
///
/// An array that keeps its elements when it is emptied: a connection's heads use the same storage again and again,
/// and emptying an `Array` costs more than reading a line. Only the first ``count`` elements are there to see.
public struct FieldLines: RandomAccessCollection, Sendable, Equatable {
    @usableFromInline var storage: [FieldLine] = []
    public private(set) var count = 0
    /// Which fields are here, one bit per ``FieldID``, and which are here more than once.
    @usableFromInline private(set) var present = FieldSet()
    private(set) var repeated = FieldSet()
    /// Every line stands in the buffer as `name: value CRLF` without anything else, one behind the other; each name is
    /// of letters, digits and hyphens.
    @usableFromInline private(set) var isPlain = true

    init() {}

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { count }

    @inlinable public subscript(index: Int) -> FieldLine {
        precondition(index < count, "a line that was not read")
        return storage[index]
    }

    /// The first line of this field, or nil. Cost: one pass where it is there, else a test of one bit.
    public func first(_ id: FieldID) -> FieldLine? {
        guard contains(id) else { return nil }
        let lines = storage.span
        for index in 0..<count where lines[index].id == id { return lines[index] }
        return nil
    }

    /// Cost: a test of one bit.
    public func contains(_ id: FieldID) -> Bool { present.contains(id) }

    @inlinable func hasNone(of ids: FieldSet) -> Bool { present.isDisjoint(with: ids) }
    /// Whether all lines are plain and the first one is `Host`, in this spelling.
    func beginPlainlyWithHost(_ bytes: Span<UInt8>) -> Bool {
        guard isPlain, contains(.host) else { return false }
        let name = storage[0].name  // `Host: ` and a line end behind a request line: eight bytes are there.
        return name.count == 4 && UInt32(truncatingIfNeeded: bytes.word(at: name.start)) == 0x7473_6F48
    }
    func hasNoneTwice(of ids: FieldSet) -> Bool { repeated.isDisjoint(with: ids) }

    public static func == (left: FieldLines, right: FieldLines) -> Bool { left.elementsEqual(right) }

    /// No room for another line without ``grow()``.
    var isFull: Bool { count == storage.count }

    /// Doubles the storage; 16 lines at first, as many as browsers send.
    mutating func grow() {
        let blank = FieldLine(name: .empty, value: .empty, id: .other, isHopByHop: false)
        storage.append(contentsOf: repeatElement(blank, count: Swift.max(16, storage.count)))
    }

    /// Appends a line that may be written in any way.
    mutating func append(_ line: FieldLine) {
        if isFull { grow() }
        isPlain = false
        storage[count] = line
        count += 1
        repeated.formUnion(present.intersection(FieldSet(line.id)))
        present.formUnion(FieldSet(line.id))
    }

    /// Appends the lines that `Span.readLabelledLines` takes, as far as there is storage and up to `countMax` in all.
    ///
    /// In two passes, where the lines end and then which fields they are, since the first needs all vector registers
    /// and the second calls. Who owns the storage is looked up once, not for each line.
    /// - Returns: the start of the first line that was not taken.
    mutating func appendPlainLines(_ bytes: Span<UInt8>, from start: Int, to end: Int, countMax: Int) -> Int {
        let known = count
        var (filled, present, repeated) = (known, present, repeated)
        var slots = storage.mutableSpan
        let limit = Swift.min(countMax, slots.count)
        guard known < limit else { return start }
        let position = bytes.readLabelledLines(
            from: start, to: end, separator: ASCII.colonSpace, terminator: ASCII.lineEnd
        ) { line in
            slots[filled] = FieldLine(
                name: ByteRange(from: line.start, to: line.nameEnd),
                value: ByteRange(from: line.nameEnd &+ 2, to: line.textEnd), id: .other, isHopByHop: false)
            filled &+= 1
            return filled < limit
        }
        Self.identify(&slots, known..<filled, bytes, &present, &repeated)
        (count, self.present, self.repeated) = (filled, present, repeated)
        return position
    }

    /// Which fields these lines are. A function of its own: one with both passes is too large for the optimiser to
    /// inline what each of them needs.
    @inline(never) private static func identify(
        _ slots: inout MutableSpan<FieldLine>, _ lines: Range<Int>, _ bytes: Span<UInt8>, _ present: inout FieldSet,
        _ repeated: inout FieldSet
    ) {
        var (found, again) = (present, repeated)
        for index in lines {
            let name = slots[index].name
            let id = PackedName(bytes, name).fieldID(bytes, name)
            slots[index].id = id
            slots[index].isHopByHop = id.isHopByHop
            again.formUnion(found.intersection(FieldSet(id)))
            found.formUnion(FieldSet(id))
        }
        (present, repeated) = (found, again)
    }

    mutating func removeAll() {
        count = 0
        (present, repeated, isPlain) = (FieldSet(), FieldSet(), true)
    }

    mutating func markHopByHop(at index: Int) {
        precondition(index < count)
        storage[index].isHopByHop = true
    }

    /// The same for a line that is not of a known field. What is copied in runs is found by known fields, so these lines
    /// are copied one by one.
    mutating func dropUnrecognised(at index: Int) {
        markHopByHop(at: index)
        isPlain = false
    }

    mutating func shift(by distance: Int) {
        for index in 0..<count { storage[index].shift(by: distance) }
    }
}
