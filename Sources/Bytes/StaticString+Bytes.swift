extension StaticString {
    /// The bytes of a literal where the linker put them: a constant address and count, so that copying a short one
    /// compiles to a move or two.
    @inlinable public var asciiBytes: Span<UInt8> {
        @_lifetime(immortal) @inline(__always)
        get {
            precondition(hasPointerRepresentation, "a literal of more than one character")
            // SAFETY: `utf8Start` has as many bytes, constant and alive as long as the program.
            let span = unsafe Span(_unsafeStart: utf8Start, count: utf8CodeUnitCount)
            return unsafe _overrideLifetime(span, copying: ())
        }
    }
}
