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
        contains(id) ? first { $0.id == id } : nil
    }

    /// Cost: a test of one bit.
    public func contains(_ id: FieldID) -> Bool { present.contains(id) }

    public static func == (left: FieldLines, right: FieldLines) -> Bool { left.elementsEqual(right) }

    @inline(__always) mutating func append(_ line: FieldLine) {
        if count < storage.count { storage[count] = line } else { storage.append(line) }
        count &+= 1
        repeated.formUnion(present.intersection(FieldSet(line.id)))
        present.formUnion(FieldSet(line.id))
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
