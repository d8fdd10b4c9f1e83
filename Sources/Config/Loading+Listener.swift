import PoiseModel
import PoiseYAML

extension Loading {
    static let actionKeys = ObjectKeys.actions.names

    func readListener(_ node: YAMLNode, at path: String, balancer: String) -> Listener {
        let keys = ObjectKeys.listener.names + Self.actionKeys + SettingsTable.listener.keys
        guard
            let section = section(
                node, at: path, "a listener", keys: keys, later: LaterFeatures.listener,
                elsewhere: LaterFeatures.listenerElsewhere)
        else {
            return Listener(id: "(unreadable \(path))", addresses: [], rules: [], defaultAction: nil)
        }
        var listener = listenerDefaults
        listener.loadBalancer = balancer
        read(SettingsTable.listener, from: section, into: &listener)
        if !isWritten("\(path).limits.max_uri_size") {
            // The target is a part of the head: who lowers only the head's limit means both.
            listener.limits.uriBytesMax = min(listener.limits.uriBytesMax, listener.limits.headBytesMax)
        }
        readTLS(section, into: &listener)
        listener.name = section["name"].flatMap { name($0, at: section.path("name")) }
        listener.addresses = readAddresses(section)
        listener.id = Identity.listener(
            name: listener.name, protocolKind: listener.protocolKind, addresses: listener.addresses)
        if let node = section["rules"], let rules = list(node, at: section.path("rules"), of: "rules") {
            readRules(rules, at: section.path("rules"), listener: listener.id, into: &listener.rules)
        }
        listener.defaultAction = readDefaultAction(section, listener: listener.id)
        return listener
    }

    private func readTLS(_ section: Section, into listener: inout Listener) {
        let path = section.path("tls")
        guard listener.protocolKind == .https else {
            guard section["tls"] != nil, !isRefused(section.path("protocol")) else { return }
            error(
                .conflict, at: section.keyRange("tls"), path: path, "a listener of protocol HTTP speaks no TLS",
                fix: "add 'protocol: HTTPS', or remove 'tls'")
            return
        }
        var tls = tlsDefaults
        if let node = section["tls"] {
            readListenerTLS(node, at: path, into: &tls, inDefaults: false)
        } else {
            // Where the missing certificates are asked for.
            note(path, at: section["protocol"]?.range ?? section.range)
        }
        listener.tls = tls
    }

    private func readAddresses(_ section: Section) -> [ListenAddress] {
        let path = section.path("address")
        guard let node = section["address"] else {
            error(
                .missing, at: section.range, path: path, "the listener has no address",
                fix: "add 'address: \":8080\"'")
            return []
        }
        return items(node, at: path).map { item in
            // Keeps the index; it equals no other.
            let unreadable = ListenAddress.unix(path: "(unreadable \(item.path))")
            guard let text = text(item.node, at: item.path, expected: "an address such as \":8080\"") else {
                return unreadable
            }
            do throws(ConfigError) { return try ListenAddress(parsing: text.value) } catch {
                refused(error, text, at: item.path, expected: "an address to listen on")
                return unreadable
            }
        }
    }

    /// `default: { forward: … }`, or one of the action keys on the listener itself.
    private func readDefaultAction(_ section: Section, listener: String) -> Action? {
        let id = Identity.inPlaceGroup(listener: listener, rule: Identity.defaultRule)
        let direct = section.written(Self.actionKeys)
        if let node = section["default"] {
            if let key = direct.first {
                error(
                    .conflict, at: section.keyRange(key), path: section.path(key),
                    "the listener has '\(key)' and 'default'",
                    fix: "keep one of the two")
            }
            guard
                let inner = self.section(
                    node, at: section.path("default"), "a default action", keys: Self.actionKeys,
                    later: LaterFeatures.rule)
            else { return nil }
            return readAction(inner, at: inner.path, noun: "the default action", inPlaceID: id)
        }
        guard !direct.isEmpty else { return nil }
        // Model paths say "default", wherever it is written.
        for key in direct { if let node = section[key] { note("\(section.path).default.\(key)", at: node.range) } }
        return readAction(section, at: section.path("default"), noun: "the listener", inPlaceID: id)
    }
}
