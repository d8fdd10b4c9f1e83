import PoiseModel
import PoisePackets

/// The bytes of an HTTP probe, rendered once per check.
enum ProbeRequest {
    /// LOCAL, or UNKNOWN in version 1: Poise speaks for itself, and the connection's own addresses count. Section 2.2
    static func introduction(_ version: ProxyProtocolHeader.Version) -> [UInt8] {
        var bytes: [UInt8] = []
        ProxyProtocolHeader(version: version, command: .local, transport: .unspecified, endpoints: nil)
            .encode(into: &bytes)
        return bytes
    }

    static func bytes(_ probe: HTTPProbe, host: String) -> [UInt8] {
        var text = "\(probe.method) \(probe.path) HTTP/1.1\r\n"
        let given = Set(probe.headers.map { $0.name.lowercased() })
        let ours = [
            ("Host", host), ("User-Agent", "Poise-HealthChecker/1"), ("Accept", "*/*"),
            ("Connection", probe.reusesConnection ? "keep-alive" : "close"),
        ]
        for (name, value) in ours where !given.contains(name.lowercased()) { text += "\(name): \(value)\r\n" }
        for field in probe.headers { text += "\(field.name): \(field.value)\r\n" }
        return Array("\(text)\r\n".utf8)
    }

    /// The head of a call of `grpc.health.v1.Health/Check`. Without a deadline: a server that keeps to it would answer in the very
    /// moment in which the probe gives up and cancels the call, and its reason would be a matter of chance.
    static func grpc(host: String) -> [UInt8] {
        let lines = [
            "POST /grpc.health.v1.Health/Check HTTP/1.1", "Host: \(host)", "TE: trailers",
            "Content-Type: application/grpc", "User-Agent: Poise-HealthChecker/1",
        ]
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}
