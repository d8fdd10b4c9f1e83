/// The rooms and the rules between them, as ARCHITECTURE.md draws them.
enum House {
    /// Folders of `Sources` from the bottom up: a room imports only rooms that stand before it.
    static let order = [
        "Model",
        "CBytes", "Bytes",
        "CYAML", "YAML",
        "CPCRE2", "Regex",
        "Balancing", "Health", "HTTP", "Routing", "Packets",
        "CPoise", "Platform", "Loop", "Live",
        "COpenSSL", "TLS",
        "HTTPService", "Proxy",
        "Config", "Telemetry", "Control",
        "poise",
    ]

    /// C modules: headers and module maps, no Swift and no README of their own.
    static let bindingsInC: Set = ["CBytes", "CYAML", "CPCRE2", "CPoise", "COpenSSL"]

    /// Where all danger is held: bindings and mechanism.
    static let mayBeUnsafe: Set = ["Bytes", "YAML", "Regex", "Platform", "Loop", "Live", "TLS"]

    /// The module of a room, `PoiseModel`; C modules and the command line are called as their folder.
    static func module(of room: String) -> String {
        bindingsInC.contains(room) || room == "poise" ? room : "Poise\(room)"
    }

    /// One line per broken rule in a file of `room`; empty when there is none.
    static func violations(in text: String, room: String, file: String) -> [String] {
        let source = SwiftSource(text)
        guard let floor = order.firstIndex(of: room) else {
            return ["\(file): the room \(room) is not in the order of rooms"]
        }
        var found: [String] = []
        for (module, line) in source.imports {
            if module.hasPrefix("Foundation") {
                found.append("\(file):\(line): imports \(module); the binary carries no Foundation")
            }
            guard let imported = order.firstIndex(where: { Self.module(of: $0) == module }) else {
                if module.hasPrefix("Poise") { found.append("\(file):\(line): \(module) is no room") }
                continue
            }
            if imported >= floor {
                found.append("\(file):\(line): \(room) imports \(module), which does not stand before it")
            }
        }
        if !mayBeUnsafe.contains(room) {
            for word in ["unsafe", "@unsafe", "@unchecked"] {
                for line in source.lines(with: word) {
                    found.append("\(file):\(line): `\(word)` outside of bindings and mechanism")
                }
            }
        }
        return found
    }

    /// The rooms that Package.swift lets each room import: `room("YAML", ["Model"], ["CYAML"])`.
    static func declaredImports(inPackage text: String) -> [String: Set<String>] {
        var declared: [String: Set<String>] = [:]
        for match in text.matches(of: /(?s)\broom\(\s*"(\w+)"(.*?)\)/) {
            let names = match.output.2.matches(of: /"(\w+)"/).map { String($0.output.1) }
            declared[String(match.output.1)] = Set(names)
        }
        if let command = text.firstMatch(of: /(?s)name: "poise",\s*dependencies: \[(.*?)\]/) {
            let names = command.output.1.matches(of: /"(?:Poise)?(\w+)"/).map { String($0.output.1) }
            declared["poise"] = Set(names)
        }
        return declared
    }
}
