import PoisePackets

/// What the PROXY header of a client's connection said, beyond who the client is.
final class AnnouncedClient {
    /// Where the client connected to; `nil` where the connection's own address counts.
    let destination: ProxyProtocolHeader.Endpoint?
    /// The fields that Poise knows, as ``ProxyProtocolFields/encode(into:)`` writes them, for the access log. At most
    /// ``ProxyProtocolFields/encodedBytesMax`` bytes.
    let fields: [UInt8]

    /// - Returns: `nil` where there is nothing to be kept.
    init?(_ header: ProxyProtocolHeader) {
        guard header.streamEndpoints != nil || !header.fields.isEmpty else { return nil }
        (destination, fields) = (header.streamEndpoints?.destination, header.fields.encoded)
    }
}
