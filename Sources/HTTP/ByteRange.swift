/// A run of bytes in the buffer that a head was parsed from: 8 bytes, valid only for that buffer.
public struct ByteRange: Sendable, Hashable {
    @usableFromInline var storedStart: Int32
    @usableFromInline var storedCount: Int32

    /// - Parameters: both 0...2^31-1, as buffers never reach 2 GiB; more is our own bug and traps.
    @inlinable public init(start: Int, count: Int) {
        (storedStart, storedCount) = (Int32(start), Int32(count))
    }

    @inlinable public init(_ range: Range<Int>) { self.init(start: range.lowerBound, count: range.count) }

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

    @inlinable public static var empty: ByteRange { ByteRange(start: 0, count: 0) }

    /// Moves a range that has bytes; an empty one stands for "absent" and stays where it is.
    @inlinable mutating func shift(by distance: Int) {
        if storedCount != 0 { storedStart += Int32(distance) }
    }
}
