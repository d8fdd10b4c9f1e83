extension ProxyProtocolFields {
    /// Reads fields that fill `bytes` exactly.
    ///
    /// A field of the specification's own that stands there twice, or has a value that it cannot have, is refused; what a
    /// vendor's means is the vendor's, and one that is not understood is left out.
    ///
    /// - Throws: `badField`.
    public init(_ bytes: Span<UInt8>) throws(ProxyProtocolHeader.Refusal) {
        self.init()
        var walk = FieldWalk(bytes)
        while let (type, range) = try walk.next() {
            let value = bytes.extracting(range)
            switch type {
            case FieldType.alpn: try Self.keep(value, in: &alpn)
            case FieldType.authority: try Self.keep(value, in: &authority)
            case FieldType.uniqueID:
                guard value.count <= Self.uniqueIDBytesMax else { throw .badField }
                try Self.keep(value, in: &uniqueID)
            case FieldType.tls:
                guard tls == nil else { throw .badField }
                tls = try TLS(value)
            case FieldType.networkNamespace: try Self.keep(value, in: &networkNamespace)
            case FieldType.google: if value.count == 8 { googleConnection = bigEndian(value) }
            case FieldType.aws:
                if value.count > 1, value[0] == FieldType.awsEndpoint { awsEndpoint = kept(value.extracting(1...)) }
            case FieldType.azure:
                guard value.count == 5, value[0] == FieldType.azureLink else { continue }
                azureLink = (1..<5).reversed().reduce(0) { $0 << 8 | UInt32(value[$1]) }
            default: continue
            }
        }
    }

    fileprivate static func keep(
        _ value: Span<UInt8>, in field: inout [UInt8]?
    ) throws(ProxyProtocolHeader.Refusal) {
        guard field == nil else { throw .badField }
        field = kept(value)
    }
}

extension ProxyProtocolFields.TLS {
    /// A byte of flags, four of the result of verification, and fields of its own. Section 2.2.6
    init(_ bytes: Span<UInt8>) throws(ProxyProtocolHeader.Refusal) {
        guard bytes.count >= 5 else { throw .badField }
        let isVerified = (1..<5).allSatisfy { bytes[$0] == 0 }
        self.init(flags: Flags(rawValue: bytes[0]), isVerified: isVerified)
        var walk = FieldWalk(bytes, from: 5)
        while let (type, range) = try walk.next() {
            let value = bytes.extracting(range)
            switch type {
            case FieldType.tlsVersion: try ProxyProtocolFields.keep(value, in: &version)
            case FieldType.tlsCommonName: try ProxyProtocolFields.keep(value, in: &commonName)
            case FieldType.tlsCipher: try ProxyProtocolFields.keep(value, in: &cipher)
            case FieldType.tlsSignatureAlgorithm: try ProxyProtocolFields.keep(value, in: &signatureAlgorithm)
            case FieldType.tlsKeyAlgorithm: try ProxyProtocolFields.keep(value, in: &keyAlgorithm)
            default: continue
            }
        }
        // Many a sender says "verified" of a client that has shown nothing.
        let shown: Flags = [.certificateOnConnection, .certificateInSession]
        self.isVerified = isVerified && !flags.isDisjoint(with: shown)
    }
}

/// Steps over type-length-value fields, which must fill their span exactly.
struct FieldWalk: ~Escapable {
    private let bytes: Span<UInt8>
    private var index: Int

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, from start: Int = 0) {
        self.bytes = bytes
        index = start
    }

    /// - Returns: the next field's type and where its value is; `nil` at the end.
    /// - Throws: `badField` for one that does not fit.
    mutating func next() throws(ProxyProtocolHeader.Refusal) -> (type: UInt8, value: Range<Int>)? {
        guard index < bytes.count else { return nil }
        guard index + 3 <= bytes.count else { throw .badField }
        let start = index + 3
        let count = Int(bytes[index + 1]) << 8 | Int(bytes[index + 2])
        guard start + count <= bytes.count else { throw .badField }
        defer { index = start + count }
        return (bytes[index], start..<start + count)
    }
}

private func kept(_ value: Span<UInt8>) -> [UInt8] {
    (0..<min(value.count, ProxyProtocolFields.valueBytesMax)).map { value[$0] }
}

private func bigEndian(_ value: Span<UInt8>) -> UInt64 { value.indices.reduce(0) { $0 << 8 | UInt64(value[$1]) } }
