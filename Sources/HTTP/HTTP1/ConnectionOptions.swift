/// What the `Connection` fields of a head say. RFC 9110 §7.6.1
struct ConnectionOptions {
    private(set) var close = false
    private(set) var keepAlive = false
    private(set) var upgrade = false

    /// More options than any real sender writes; bounds the work of comparing each with each field.
    private static var countMax: Int { 32 }

    /// Reads all `Connection` lines and marks the fields they list as hop-by-hop.
    ///
    /// - Returns: nil for an option that is no token, one that names a field which must not be removed
    ///   (``FieldID/isProtectedFromConnection``), or more than 32 options.
    init?(_ bytes: Span<UInt8>, marking fields: inout FieldLines) {
        var count = 0
        for index in fields.indices where fields[index].id == .connection {
            // The two that nearly all senders write, without a look at the other fields.
            let value = fields[index].value
            switch value.count <= 16 ? PackedName(bytes, value).bits : 0 {
            case PackedName.close:
                close = true
                continue
            case PackedName.keepAlive:
                keepAlive = true
                continue
            default: break
            }
            var elements = ListElements(value)
            while let option = elements.next(bytes) {
                count += 1
                guard count <= Self.countMax, take(option, bytes, &fields) else { return nil }
            }
        }
    }

    /// - Returns: false where the option is refused.
    private mutating func take(_ option: ByteRange, _ bytes: Span<UInt8>, _ fields: inout FieldLines) -> Bool {
        guard isToken(bytes, option) else { return false }
        let packed = PackedName(bytes, option)
        if option.count == 5, packed.bits == PackedName.close {
            close = true
            return true
        }
        let id = packed.fieldID(bytes, option)
        switch id {
        case .keepAlive: keepAlive = true
        case .upgrade: upgrade = true
        case .other:
            for index in fields.indices
            where fields[index].id == .other && equalsIgnoringCase(bytes, fields[index].name, option) {
                fields.markHopByHop(at: index)
            }
            return true
        default: break
        }
        if id.isProtectedFromConnection { return false }
        for index in fields.indices where fields[index].id == id { fields.markHopByHop(at: index) }
        return true
    }
}
