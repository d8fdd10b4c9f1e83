import CPoise
import PoiseModel

/// A block of a loop's pooled memory: a trivial handle, two words, to be kept with its fill marks by its user.
///
/// SAFETY: the memory behind a handle is never unmapped while its loop lives, and it holds plain bytes. A handle
/// that is used after ``BufferPool/release(_:)`` can therefore mix up bytes (a bug) but never touch foreign
/// memory. Every access is checked against `capacity`.
@safe public struct Buffer: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    public let capacity: Int

    init(base: UnsafeMutableRawPointer, capacity: Int) {
        unsafe self.base = base
        self.capacity = capacity
    }

    /// The memory itself, for rooms that hand it to C: `capacity` bytes, valid while the loop lives.
    @unsafe @inlinable public var address: UnsafeMutableRawPointer { unsafe base }

    /// The bytes `start..<end`. Keep the buffer in a local while the span is used.
    @inlinable @inline(__always)
    @_lifetime(borrow self)
    public func bytes(_ start: Int, _ end: Int) -> Span<UInt8> {
        precondition(0 <= start && start <= end && end <= capacity, "range outside of its buffer")
        // SAFETY: in range, initialised by mmap, and alive as argued above.
        let span = unsafe Span<UInt8>(
            _unsafeStart: (base + start).assumingMemoryBound(to: UInt8.self), count: end - start)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    @inlinable @inline(__always)
    public subscript(index: Int) -> UInt8 {
        get {
            precondition(0 <= index && index < capacity)
            return unsafe base.load(fromByteOffset: index, as: UInt8.self)  // SAFETY: in range.
        }
        nonmutating set {
            precondition(0 <= index && index < capacity)
            unsafe base.storeBytes(of: newValue, toByteOffset: index, as: UInt8.self)  // SAFETY: in range.
        }
    }

    /// Copies `bytes` to `offset`.
    @inlinable @inline(__always)
    public func write(_ bytes: Span<UInt8>, at offset: Int) {
        precondition(0 <= offset && bytes.count <= capacity - offset, "write beyond the buffer")
        // SAFETY: in range; memmove allows the ranges to overlap.
        unsafe bytes.withUnsafeBufferPointer {
            guard let source = $0.baseAddress else { return }
            unsafe (base + offset).copyMemory(from: source, byteCount: $0.count)
        }
    }

    /// Writes the lowest `count` bytes (1...8) of `word` to `offset`, the lowest first, and no byte more: what stands
    /// behind may be somebody's. Two stores that overlap where they must; constant counts compile to one or two.
    @inlinable @inline(__always)
    public func write(word: UInt64, count: Int, at offset: Int) {
        precondition(0 <= offset && 1 <= count && count <= 8 && count <= capacity - offset, "write beyond the buffer")
        func store<Word: FixedWidthInteger>(_ part: Word.Type) {
            let width = part.bitWidth / 8
            // SAFETY: `width <= count`, so both stores are within the range checked above.
            unsafe (base + offset).storeBytes(of: Word(truncatingIfNeeded: word).littleEndian, as: part)
            let rest = UInt64(truncatingIfNeeded: 8 &* (count &- width))
            unsafe (base + offset + (count &- width)).storeBytes(
                of: Word(truncatingIfNeeded: word &>> rest).littleEndian, as: part)
        }
        if count == 8 {
            unsafe (base + offset).storeBytes(of: word.littleEndian, as: UInt64.self)  // SAFETY: in range.
        } else if count >= 4 {
            store(UInt32.self)
        } else if count >= 2 {
            store(UInt16.self)
        } else {
            store(UInt8.self)
        }
    }

    /// Moves `start..<end` to `offset` in `other`, which may be this buffer.
    public func move(_ start: Int, _ end: Int, to other: Buffer, at offset: Int) {
        precondition(0 <= start && start <= end && end <= capacity)
        precondition(0 <= offset && end - start <= other.capacity - offset)
        // SAFETY: both ranges are in bounds; copyMemory allows overlap.
        unsafe (other.base + offset).copyMemory(from: base + start, byteCount: end - start)
    }
}

/// Appends to a buffer from a mark on. Overflow is remembered, never written.
public struct BufferWriter: ByteSink {
    public let buffer: Buffer
    /// Where the next byte goes.
    public var end: Int
    /// Something did not fit; what was appended since is incomplete.
    public var overflowed = false

    @inlinable public init(_ buffer: Buffer, at end: Int) {
        self.buffer = buffer
        self.end = end
    }

    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        guard end < buffer.capacity else {
            overflowed = true
            return
        }
        buffer[end] = byte
        end += 1
    }

    @inlinable @inline(__always)
    public mutating func append(_ bytes: Span<UInt8>) {
        guard bytes.count <= buffer.capacity - end else {
            overflowed = true
            return
        }
        buffer.write(bytes, at: end)
        end += bytes.count
    }

    @inlinable @inline(__always)
    public mutating func append(word: UInt64, count: Int) {
        guard count <= buffer.capacity - end else {
            overflowed = true
            return
        }
        buffer.write(word: word, count: count, at: end)
        end += count
    }
}
