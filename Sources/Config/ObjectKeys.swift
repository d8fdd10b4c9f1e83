/// Keys whose values are objects or lists of objects: what is read by code and not by a row of ``SettingsTable``.
struct ObjectKey: Sendable {
    let key: String
    /// What the value is, in a few words.
    let form: String
    let attribute: String?
    let summary: String

    init(_ key: String, _ form: String, _ attribute: String, _ summary: String) {
        (self.key, self.form, self.attribute, self.summary) = (key, form, attribute, summary)
    }

    init(_ key: String, _ form: String, _ summary: String) {
        (self.key, self.form, attribute, self.summary) = (key, form, nil, summary)
    }
}

enum ObjectKeys {
    static let top: [ObjectKey] = [
        .init("version", "1", "The version of this format; 1 where it is missing."),
        .init("process", "mapping", "What belongs to the process. Main file only."),
        .init("logs", "mapping", "Where records go. Main file only."),
        .init("defaults", "mapping", "Scalars that listeners and target groups inherit. Main file only."),
        .init("load_balancers", "list", "Named fronts with their listeners."),
        .init("listeners", "list", "Listeners of the load balancer `default`."),
        .init("rule_sets", "list", "Rules that several listeners share."),
        .init("target_groups", "list", "Targets, and how one is chosen."),
        .init("notify", "list", "Whom to tell when targets and groups go down and come back."),
        .init("include", "path or list of paths", "Further files, relative to this one; they add to the lists."),
    ]

    static let defaults: [ObjectKey] = [
        .init("listener", "mapping", "What every listener has that does not say otherwise. No lists."),
        .init("target_group", "mapping", "What every target group has that does not say otherwise. No lists."),
    ]

    static let loadBalancer: [ObjectKey] = [
        .init("name", "name", "Name", "1 to 32 of a-z, 0-9 and -."),
        .init("type", "application", "Type", "The kind of load balancer."),
        .init("listeners", "list", "Its listeners."),
    ]

    static let listener: [ObjectKey] = [
        .init("name", "name", "Its identity over an apply; without one, protocol and addresses are."),
        .init(
            "address", "address or list", "Port",
            "`:8080` (IPv4 and IPv6), `127.0.0.1:8080`, `\"[::1]:8080\"`, `unix:/path`; port 0 is a free one."),
        .init("tls", "mapping", "How a listener of protocol HTTPS speaks TLS."),
        .init("rules", "list", "First match in written order wins."),
        .init(
            "default", "mapping with one action", "DefaultActions", "What is done when no rule matches; without it 404."
        ),
    ]

    static let listenerTLS: [ObjectKey] = [
        .init(
            "certificates", "one or a list", "Certificates",
            "Mappings with `certificate`, or paths of files that hold certificate, chain and key. One is chosen by the "
                + "name that the client asks for; the first is for all others. `self-signed` makes one at start."),
        .init(
            "strict_transport", "mapping or `off`", "routing.http.response.strict_transport_security.header_value",
            "Send Strict-Transport-Security (RFC 6797); off without it."),
    ]

    static let targetTLS: [ObjectKey] = [
        .init(
            "certificate", "mapping, path or `off`",
            "Shown to targets that ask for one; as in `certificates` of a listener.")
    ]

    static let actions: [ObjectKey] = [
        .init(
            "forward", "name, list or mapping", "forward",
            "A group's name, targets in place, or `{ groups: { web: 90, web-next: 10 } }`."),
        .init("redirect", "mapping", "redirect", "Sends the client elsewhere; what is not set stays as it was."),
        .init("fixed_response", "mapping", "fixed-response", "Answers by itself."),
    ]

    static let rule: [ObjectKey] = [
        .init("name", "name", "Its identity over an apply; without one, its conditions are. Not `default`."),
        .init("when", "mapping", "Conditions", "All of these must hold; without it the rule always matches."),
        .init("rule_set", "name", "Alone in a rule: the rules of that set stand here."),
    ]

    static let conditions: [ObjectKey] = [
        .init(
            "host", "pattern or list", "host-header", "One of these patterns matches the host, without case and port."),
        .init(
            "path", "pattern or list", "path-pattern", "One of these patterns matches the normalised path, with case."),
    ]

    static let forward: [ObjectKey] = [
        .init("groups", "mapping of names to weights", "TargetGroups", "Shares of 0 to 999.")
    ]

    static let ruleSet: [ObjectKey] = [
        .init("name", "name", "What listeners call it."),
        .init("rules", "list", "Rules, without further sets."),
    ]

    static let targetGroup: [ObjectKey] = [
        .init("name", "name", "Name", "What rules call it."),
        .init("targets", "list of targets", "Targets", "Addresses, or mappings with `address`."),
        .init("tls", "mapping", "How a group of protocol HTTPS speaks TLS."),
        .init(
            "health_check", "mapping or `off`", "HealthCheckEnabled",
            "Active checks: whether a connection is made, or an answer comes."),
        .init(
            "health_checks", "mapping",
            "Several active checks that are taken together, instead of `health_check`."),
        .init("passive_checks", "mapping", "What real traffic tells about a target."),
        .init(
            "sorry_response", "mapping or `off`",
            "The answer when no target is usable; keys as in fixed_response, status 503."),
    ]

    static let healthChecks: [ObjectKey] = [
        .init(
            "checks", "list of mappings",
            "Two checks or more: keys as in `health_check`, and `weight`. What one does not say, `defaults` does.")
    ]

    static let target: [ObjectKey] = [
        .init(
            "address", "address", "Id",
            "`10.0.0.11:8080`, `\"[2001:db8::13]:8080\"`, `web-a.internal:80`, `unix:/path`.")
    ]
}

extension [ObjectKey] {
    var names: [String] { map(\.key) }
}
