/// A run of bytes in the buffer that a head was parsed from: 8 bytes, valid only for that buffer.
public struct ByteRange: Sendable, Hashable {
    @usableFromInline var storedStart: Int32
    @usableFromInline var storedCount: Int32

    /// - Parameters: both 0...2^31-1, as buffers never reach 2 GiB; more is our own bug and traps.
    @inlinable public init(start: Int, count: Int) {
        (storedStart, storedCount) = (Int32(start), Int32(count))
    }

    @inlinable public init(_ range: Range<Int>) { self.init(start: range.lowerBound, count: range.count) }

    /// For the parsers' loops: no checks, as the bound of the buffer was checked once before.
    @inline(__always) init(from start: Int, to end: Int) {
        storedStart = Int32(truncatingIfNeeded: start)
        storedCount = Int32(truncatingIfNeeded: end &- start)
    }

    /// Position of the first byte.
    @inlinable public var start: Int {
        get { Int(storedStart) }
        set { storedStart = Int32(newValue) }
    }

    @inlinable public var count: Int {
        get { Int(storedCount) }
        set { storedCount = Int32(newValue) }
    }

    /// Position after the last byte.
    @inlinable public var end: Int { Int(storedStart) + Int(storedCount) }
    @inlinable public var isEmpty: Bool { storedCount == 0 }
    @inlinable public var indices: Range<Int> { start..<end }

    /// What stands for "absent": no bytes at position 0, which every buffer has.
    @inlinable public static var empty: ByteRange { ByteRange(start: 0, count: 0) }

    /// Moves the range with its bytes. ``empty`` stands for "absent" and stays: no part of a head that is there begins
    /// at 0 without bytes, as the method or the version comes before it.
    @inlinable mutating func shift(by distance: Int) {
        if self != .empty { storedStart += Int32(distance) }
    }
}
