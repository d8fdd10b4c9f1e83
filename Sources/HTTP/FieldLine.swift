/// One field line of a head or trailer section, as ranges. RFC 9110 §5
public struct FieldLine: Sendable, Hashable {
    /// As written, never empty, only token characters.
    public var name: ByteRange
    /// Without white space around it; may be empty.
    public var value: ByteRange
    public var id: FieldID
    /// Must not be passed on: one of the fixed hop-by-hop fields, one that `Connection` lists, or (in a trailer
    /// section) one that trailers must not carry.
    public var isHopByHop: Bool
    /// The name of a known field but for `_` in place of `-`, as `X_Forwarded_For`: what many programs at the target
    /// take for that field. ``id`` is ``FieldID/other``.
    public var isUnderscoreTwin: Bool

    public init(name: ByteRange, value: ByteRange, id: FieldID, isHopByHop: Bool, isUnderscoreTwin: Bool = false) {
        (self.name, self.value, self.id) = (name, value, id)
        (self.isHopByHop, self.isUnderscoreTwin) = (isHopByHop, isUnderscoreTwin)
    }

    mutating func shift(by distance: Int) {
        name.shift(by: distance)
        value.shift(by: distance)
    }
}
