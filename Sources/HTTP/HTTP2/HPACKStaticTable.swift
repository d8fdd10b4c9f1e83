import PoiseBytes

/// The fields that both sides know from the start. RFC 7541 appendix A
///
/// Each stands as the line that it becomes in an HTTP/1 head, so that a reference to it is one copy.
struct HPACKStaticTable: Sendable {
    struct Entry: Sendable {
        var start: Int32 = 0
        var nameCount: Int32 = 0
        var valueCount: Int32 = 0
        var kind = HTTP2FieldKind.plain
        var policy = HPACKPolicy.whenRepeated
    }

    static var count: Int { 61 }

    /// By index less 1.
    let entries: [Entry]
    /// The first index that has a name, by the lowest bits of the name's hash; 0 for none. What does not find its place
    /// goes to the next one.
    private let names: [UInt8]
    /// The first index of the fields that are known, by `FieldID`; 0 for none.
    let indices: [UInt8]

    static var bytes: Span<UInt8> {
        @_lifetime(immortal) @inline(__always) get { text.asciiBytes }
    }

    init() {
        let bytes = Self.text.asciiBytes
        var entries: [Entry] = []
        var names = [UInt8](repeating: 0, count: 256)
        var indices = [UInt8](repeating: 0, count: 64)
        var position = 0
        while entries.count < Self.count {
            let start = position
            position += 1  // The colon that a pseudo-field's name begins with.
            while bytes[position] != ASCII.colon { position += 1 }
            let nameEnd = position
            while bytes[position] != ASCII.carriageReturn { position += 1 }
            entries.append(
                Entry(
                    start: Int32(start), nameCount: Int32(nameEnd - start), valueCount: Int32(position - nameEnd - 2),
                    kind: HTTP2FieldKind(name: bytes, from: start, to: nameEnd),
                    policy: HPACKPolicy(name: bytes, from: start, to: nameEnd)))
            var slot = Int(bytes.mixedHash(from: start, to: nameEnd) & 255)
            while names[slot] != 0 {
                let other = entries[Int(names[slot]) - 1]
                if Int(other.nameCount) == nameEnd - start,
                    bytes.matches(start, bytes, Int(other.start), count: nameEnd - start)
                {
                    break
                }
                slot = (slot + 1) & 255
            }
            if names[slot] == 0 {
                names[slot] = UInt8(entries.count)
                let name = ByteRange(start..<nameEnd)
                indices[Int(PackedName(bytes, name).fieldID(bytes, name).rawValue)] = UInt8(entries.count)
            }
            position += 2
        }
        indices[0] = 0  // Every name that is not known.
        (self.entries, self.names, self.indices) = (entries, names, indices)
    }

    /// Of the entries 8...14.
    static func status(_ index: Int) -> Int {
        switch index {
        case 8: 200
        case 9: 204
        case 10: 206
        case 11: 304
        case 12: 400
        case 13: 404
        default: 500
        }
    }

    /// The lowest index of an entry with this name, or 0.
    /// - Parameter hash: `mixedHash` of the name.
    @inline(__always)
    func index(ofName bytes: Span<UInt8>, from start: Int, to end: Int, hash: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: hash & 255)
        while true {
            let index = Int(names[slot])
            guard index != 0 else { return 0 }
            let entry = entries[index &- 1]
            if Int(entry.nameCount) == end &- start,
                bytes.matches(start, Self.bytes, Int(entry.start), count: end &- start)
            {
                return index
            }
            slot = (slot &+ 1) & 255
        }
    }

    private static var text: StaticString {
        """
        :authority: \r
        :method: GET\r
        :method: POST\r
        :path: /\r
        :path: /index.html\r
        :scheme: http\r
        :scheme: https\r
        :status: 200\r
        :status: 204\r
        :status: 206\r
        :status: 304\r
        :status: 400\r
        :status: 404\r
        :status: 500\r
        accept-charset: \r
        accept-encoding: gzip, deflate\r
        accept-language: \r
        accept-ranges: \r
        accept: \r
        access-control-allow-origin: \r
        age: \r
        allow: \r
        authorization: \r
        cache-control: \r
        content-disposition: \r
        content-encoding: \r
        content-language: \r
        content-length: \r
        content-location: \r
        content-range: \r
        content-type: \r
        cookie: \r
        date: \r
        etag: \r
        expect: \r
        expires: \r
        from: \r
        host: \r
        if-match: \r
        if-modified-since: \r
        if-none-match: \r
        if-range: \r
        if-unmodified-since: \r
        last-modified: \r
        link: \r
        location: \r
        max-forwards: \r
        proxy-authenticate: \r
        proxy-authorization: \r
        range: \r
        referer: \r
        refresh: \r
        retry-after: \r
        server: \r
        set-cookie: \r
        strict-transport-security: \r
        transfer-encoding: \r
        user-agent: \r
        vary: \r
        via: \r
        www-authenticate: \r
                        
        """
    }
}
