/// A field of an HTTP/2 head, a pseudo-field too.
struct Field: Equatable {
    let name: String
    let value: String

    init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    /// RFC 7541 §4.1
    var size: Int { name.utf8.count + value.utf8.count + 32 }
}

/// The fields that one direction of a connection refers to by numbers. RFC 7541 §2.3
struct FieldTable {
    /// Newest first.
    private var entries: [Field] = []
    private var size = 0
    private(set) var limit = 4096

    mutating func insert(_ field: Field) {
        entries.insert(field, at: 0)
        size += field.size
        evict()
    }

    mutating func resize(to limit: Int) {
        self.limit = limit
        evict()
    }

    private mutating func evict() {
        while size > limit { size -= entries.removeLast().size }
    }

    /// - Returns: `nil` for a number that means nothing.
    func field(_ index: Int) -> Field? {
        if index <= Self.constants.count { return index > 0 ? Self.constants[index - 1] : nil }
        let place = index - Self.constants.count - 1
        return place < entries.count ? entries[place] : nil
    }

    func index(of field: Field) -> Int? {
        if let place = Self.constants.firstIndex(of: field) { return place + 1 }
        return entries.firstIndex(of: field).map { $0 + Self.constants.count + 1 }
    }

    func index(ofName name: String) -> Int? {
        if let place = Self.constants.firstIndex(where: { $0.name == name }) { return place + 1 }
        return entries.firstIndex { $0.name == name }.map { $0 + Self.constants.count + 1 }
    }

    /// RFC 7541 appendix A
    private static let constants: [Field] = """
        :authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|\
        :status 204|:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|\
        accept-encoding gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|\
        authorization|cache-control|content-disposition|content-encoding|content-language|content-length|\
        content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|\
        if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|\
        proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|\
        strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
        """.split(separator: "|").map { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            return Field(parts[0], parts.count > 1 ? parts[1] : "")
        }
}
