/// The field lines of a head or trailer section, in the order sent.
///
/// An array that keeps its elements when it is emptied: a connection's heads use the same storage again and again,
/// and emptying an `Array` costs more than reading a line. Only the first ``count`` elements are there to see.
public struct FieldLines: RandomAccessCollection, Sendable, Equatable {
    @usableFromInline var storage: [FieldLine] = []
    public private(set) var count = 0
    /// Which fields are here, one bit per ``FieldID``, and which are here more than once.
    private(set) var present = FieldSet()
    private(set) var repeated = FieldSet()

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

    func hasNone(of ids: FieldSet) -> Bool { present.isDisjoint(with: ids) }
    func hasNoneTwice(of ids: FieldSet) -> Bool { repeated.isDisjoint(with: ids) }

    public static func == (left: FieldLines, right: FieldLines) -> Bool { left.elementsEqual(right) }

    /// No room for another line without ``grow()``.
    var isFull: Bool { count == storage.count }

    /// Doubles the storage; 16 lines at first, as many as browsers send.
    mutating func grow() {
        let blank = FieldLine(name: .empty, value: .empty, id: .other, isHopByHop: false)
        storage.append(contentsOf: repeatElement(blank, count: Swift.max(16, storage.count)))
    }

    mutating func append(_ line: FieldLine) {
        if isFull { grow() }
        storage[count] = line
        count += 1
        repeated.formUnion(present.intersection(FieldSet(line.id)))
        present.formUnion(FieldSet(line.id))
    }

    /// Appends until `fill` returns nil, the storage is full, or `countMax` lines are here. Who owns the storage is
    /// looked up once, not for each line.
    /// - Parameter fill: writes the next line and returns its id.
    @inline(__always) mutating func appendInPlace(countMax: Int, _ fill: (inout FieldLine) -> FieldID?) {
        var (count, present, repeated) = (count, present, repeated)
        let limit = Swift.min(countMax, storage.count)
        var slots = storage.mutableSpan
        while count < limit, let id = fill(&slots[count]) {
            count &+= 1
            repeated.formUnion(present.intersection(FieldSet(id)))
            present.formUnion(FieldSet(id))
        }
        (self.count, self.present, self.repeated) = (count, present, repeated)
    }

    mutating func removeAll() {
        count = 0
        (present, repeated) = (FieldSet(), FieldSet())
    }

    mutating func markHopByHop(at index: Int) {
        precondition(index < count)
        storage[index].isHopByHop = true
    }

    mutating func shift(by distance: Int) {
        for index in 0..<count { storage[index].shift(by: distance) }
    }
}

/// A set of field ids in one word.
struct FieldSet: OptionSet, Sendable {
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }
    init(_ id: FieldID) { rawValue = 1 &<< UInt64(id.rawValue) }

    func contains(_ id: FieldID) -> Bool { rawValue &>> UInt64(id.rawValue) & 1 != 0 }
}
