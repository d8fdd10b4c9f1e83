import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform

/// Telling a target by the PROXY protocol for whom a connection is.
extension Exchange {
    /// A connection that waits for its next exchange, and that may carry this one.
    func takeKept(_ pool: TargetPool) -> TargetConnection? {
        guard pool.introducesClients else { return pool.takeIdle() }
        return client.carrier.own?.take(from: pool, for: introducedSource)
    }

    /// What the target must know first: ahead of the request and in one send with it, or ahead of the TLS handshake.
    func introduce(_ connection: TargetConnection) {
        connection.introduce(
            introduction(to: connection.pool), of: introducedSource, keptBy: client.carrier.ownConnections())
    }

    /// The client as the log and X-Forwarded-For have it: behind trusted proxies whom they tell, and of that one no port is
    /// known. `nil` for a client of a unix socket.
    private var introducedSource: ProxyProtocolHeader.Endpoint? {
        guard let peer = client.address else { return nil }
        if client.isTrusted, let told = IPAddress(ipv4Or6: clientAddress.bytes), told != peer {
            return .init(address: told, port: 0)
        }
        return .init(address: peer, port: client.port)
    }

    private func introduction(to pool: TargetPool) -> [UInt8] {
        let settings = pool.group.settings.proxyProtocol
        var header = ProxyProtocolHeader(
            version: settings.version == .v1 ? .v1 : .v2, command: .proxy, transport: .stream, endpoints: nil)
        if let source = introducedSource {
            header.endpoints = client.carrier.destination.map { .init(source: source, destination: $0) }
        } else {
            header.unixPath = unixPath
        }
        for field in settings.fields { add(field, to: &header.fields) }
        var bytes: [UInt8] = []
        header.encode(into: &bytes, hasChecksum: settings.fields.contains(.crc32c))
        return bytes
    }

    private func add(_ field: TargetProxyProtocol.Field, to fields: inout ProxyProtocolFields) {
        switch field {
        case .ssl:
            guard let session = client.security else { return }
            // Clients are not asked for certificates.
            fields.tls = .init(flags: .secured, isVerified: false)
            fields.tls?.version = Array("\(session.versionName)".utf8)
            fields.tls?.cipher = Array(session.cipherName.utf8)
        case .authority: fields.authority = client.security?.serverName.map { Array($0.utf8) }
        case .uniqueID:
            var id: [UInt8] = []
            writeRequestID(to: &id, headBuffer)
            fields.uniqueID = id
        case .alpn: fields.alpn = Array("http/1.1".utf8)
        case .crc32c: break
        }
    }

    /// Of the socket that the client connected to; empty where the listener has several.
    private var unixPath: [UInt8] {
        let paths = listener.compiled.settings.addresses.compactMap { address -> String? in
            if case .unix(let path) = address { path } else { nil }
        }
        return paths.count == 1 ? Array(paths[0].utf8) : []
    }
}
