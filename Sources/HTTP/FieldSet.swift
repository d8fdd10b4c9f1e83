/// A set of field ids in one word.
public struct FieldSet: OptionSet, Sendable {
    public let rawValue: UInt64

    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ id: FieldID) { rawValue = 1 &<< UInt64(id.rawValue) }

    @inlinable public func contains(_ id: FieldID) -> Bool { rawValue &>> UInt64(id.rawValue) & 1 != 0 }
}
