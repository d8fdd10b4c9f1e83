import PoiseModel

extension ProxyProtocolFields {
    /// Writes the fields that are set, one behind the other; ``init(_:)`` reads them back. Of each value at most
    /// ``valueBytesMax`` bytes.
    public func encode<Sink: ByteSink & ~Copyable>(into sink: inout Sink) {
        sink.append(field: FieldType.alpn, alpn)
        sink.append(field: FieldType.authority, authority)
        sink.append(field: FieldType.uniqueID, uniqueID.map { Array($0.prefix(Self.uniqueIDBytesMax)) })
        if let tls { sink.append(field: FieldType.tls, tls.encoded, bytesMax: .max) }
        sink.append(field: FieldType.networkNamespace, networkNamespace)
        if let awsEndpoint {
            sink.append(
                field: FieldType.aws, [FieldType.awsEndpoint] + awsEndpoint.prefix(Self.valueBytesMax), bytesMax: .max)
        }
        if let azureLink {
            sink.append(
                field: FieldType.azure,
                [FieldType.azureLink] + (0..<4).map { UInt8(truncatingIfNeeded: azureLink >> UInt32(8 * $0)) })
        }
        if let googleConnection {
            sink.append(
                field: FieldType.google,
                (0..<8).reversed().map { UInt8(truncatingIfNeeded: googleConnection >> UInt64(8 * $0)) })
        }
    }

    /// ``encode(into:)`` into an array of its own.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return bytes
    }
}

extension ProxyProtocolFields.TLS {
    fileprivate var encoded: [UInt8] {
        // Zero means: shown, and good.
        var bytes: [UInt8] = [flags.rawValue, 0, 0, 0, isVerified ? 0 : 1]
        bytes.append(field: FieldType.tlsVersion, version)
        bytes.append(field: FieldType.tlsCommonName, commonName)
        bytes.append(field: FieldType.tlsCipher, cipher)
        bytes.append(field: FieldType.tlsSignatureAlgorithm, signatureAlgorithm)
        bytes.append(field: FieldType.tlsKeyAlgorithm, keyAlgorithm)
        return bytes
    }
}

extension ByteSink where Self: ~Copyable {
    fileprivate mutating func append(
        field type: UInt8, _ value: [UInt8]?, bytesMax: Int = ProxyProtocolFields.valueBytesMax
    ) {
        guard let value else { return }
        let count = min(value.count, bytesMax)
        append(type)
        append(UInt8(truncatingIfNeeded: count >> 8))
        append(UInt8(truncatingIfNeeded: count))
        append(value.span.extracting(first: count))
    }
}
