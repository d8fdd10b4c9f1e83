import PoiseModel

/// The bytes of an HTTP probe, rendered once per check.
enum ProbeRequest {
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
}
