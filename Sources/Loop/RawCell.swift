/// One value behind a `let`, for a struct of a class that is changed in place on every request.
///
/// Such a struct in a `var` of the class costs two exclusivity checks per use (about 60 instructions each), of every
/// use in the module as soon as one of them calls a mutating method. Swapping it out and back costs two copies.
///
/// SAFETY: the value is initialised in `init` and lives as long as the cell. Nothing checks that two accesses do not
/// overlap: only for values whose methods cannot come back to the cell's owner.
@safe public final class RawCell<Value: ~Copyable> {
    @usableFromInline let pointer: UnsafeMutablePointer<Value>

    public init(_ value: consuming Value) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
    }

    deinit {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    @inlinable public var value: Value {
        @inline(__always) _read { yield unsafe pointer.pointee }
        @inline(__always) _modify { yield unsafe &pointer.pointee }
    }
}

@available(*, unavailable)
extension RawCell: Sendable where Value: ~Copyable {}
