import PoiseHTTP
import PoiseModel
import PoisePackets

/// What the PROXY header of a client's connection said beyond addresses, under the names that the access log has for it.
struct AnnouncedFields {
    private let fields: ProxyProtocolFields

    /// - Parameter bytes: as `ProxyProtocolFields.encode(into:)` wrote them.
    init(_ bytes: Span<UInt8>) { fields = (try? ProxyProtocolFields(bytes)) ?? ProxyProtocolFields() }

    /// `,"proxy_protocol":{…}`: all as texts.
    func appendJSON(to line: inout (some ByteSink & ~Copyable)) {
        line.append(text: ",\"proxy_protocol\":{")
        for (index, (name, value)) in named.enumerated() {
            line.append(text: index == 0 ? "\"\(name)\":\"" : ",\"\(name)\":\"")
            line.appendJSONEscaped(value.span)
            line.append(UInt8(ascii: "\""))
        }
        line.append(UInt8(ascii: "}"))
    }

    /// In one order, those that are there.
    var named: [(name: String, value: [UInt8])] {
        var all: [(name: String, value: [UInt8])] = []
        func tell(_ name: String, _ value: [UInt8]?) { if let value { all.append((name, value)) } }
        tell("authority", fields.authority)
        tell("alpn", fields.alpn)
        tell("unique_id", fields.uniqueID)
        if let tls = fields.tls {
            tell("tls", tls.flags.contains(.secured) ? tls.version ?? Array("yes".utf8) : Array("no".utf8))
            tell("tls_cipher", tls.cipher)
            tell("tls_signature_algorithm", tls.signatureAlgorithm)
            tell("tls_key_algorithm", tls.keyAlgorithm)
            tell("client_certificate", Array(tls.certificateWords.utf8))
            tell("client_name", tls.commonName)
        }
        tell("network_namespace", fields.networkNamespace)
        tell("aws_vpce_id", fields.awsEndpoint)
        tell("azure_link_id", fields.azureLink.map { Array("\($0)".utf8) })
        tell("gcp_psc_connection_id", fields.googleConnection.map { Array("\($0)".utf8) })
        return all
    }
}

extension ProxyProtocolFields.TLS {
    fileprivate var certificateWords: String {
        if flags.isDisjoint(with: [.certificateOnConnection, .certificateInSession]) { return "none" }
        return isVerified ? "verified" : "unverified"
    }
}
