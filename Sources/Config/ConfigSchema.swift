import PoiseModel

/// The JSON Schema of configuration files, for editors and for checks by other programs.
///
/// It is made from the same rows that files are read with. What needs several values at once (an unknown group, a
/// timeout longer than its interval) only `poise check` finds.
public enum ConfigSchema {
    /// Draft 2020-12, ends with a line end.
    public static var text: String { schema.text }

    private static var schema: JSON {
        .object([
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
            ("title", .string("Poise configuration, version 1")),
            ("type", .string("object")),
            (
                "properties",
                .object([
                    ("version", described(ObjectKeys.top, "version", [("enum", .array([.integer(1), .string("1")]))])),
                    ("process", object(SettingsTable.process, ProcessSettings())),
                    ("logs", object(SettingsTable.logs, LogSettings())),
                    ("defaults", reference("defaults")),
                    ("load_balancers", described(ObjectKeys.top, "load_balancers", list("load_balancer"))),
                    ("listeners", described(ObjectKeys.top, "listeners", list("listener"))),
                    ("rule_sets", described(ObjectKeys.top, "rule_sets", list("rule_set"))),
                    ("target_groups", described(ObjectKeys.top, "target_groups", list("target_group"))),
                    ("notify", described(ObjectKeys.top, "notify", list("notify"))),
                    ("include", described(ObjectKeys.top, "include", oneOrList(scalar))),
                ])
            ),
            ("patternProperties", .object([("^x-", .boolean(true))])),
            ("additionalProperties", .boolean(false)),
            ("$defs", .object(definitions)),
        ])
    }

    private static var definitions: [(key: String, value: JSON)] {
        [
            (
                "reference",
                .object([
                    ("description", .string("A value from the environment or a file.")), ("type", .string("string")),
                    ("pattern", .string("^file:|\\$\\{")),
                ])
            ),
            ("scalar", .object([("type", .array([.string("string"), .string("number"), .string("boolean")]))])),
            (
                "name",
                .object([
                    ("type", .array([.string("string"), .string("integer")])),
                    ("pattern", .string("^[a-z0-9-]{1,32}$")),
                ])
            ),
            (
                "defaults",
                closed(
                    ObjectKeys.defaults,
                    [
                        (
                            "listener",
                            closed(
                                [],
                                properties(SettingsTable.listener, emptyListener, inDefaults: true)
                                    + [("tls", listenerTLS(inDefaults: true))])
                        ),
                        ("target_group", closed([], groupSettings(inDefaults: true))),
                    ])
            ),
            (
                "load_balancer",
                closed(
                    ObjectKeys.loadBalancer,
                    [
                        ("name", reference("name")),
                        ("type", .object([("enum", .array([.string("application")]))])),
                        ("listeners", .object(list("listener", minimum: 1))),
                    ], required: ["name", "listeners"])
            ),
            (
                "listener",
                closed(
                    ObjectKeys.listener + ObjectKeys.actions,
                    [
                        ("name", reference("name")),
                        ("address", .object(oneOrList(scalar))),
                        ("tls", listenerTLS(inDefaults: false)),
                        ("rules", .object(list("rule"))),
                        ("default", closed(ObjectKeys.actions, actions)),
                    ] + actions + properties(SettingsTable.listener, emptyListener),
                    required: ["address"])
            ),
            (
                "certificate",
                .object([
                    (
                        "anyOf",
                        .array([
                            scalar,
                            closed(
                                [], properties(SettingsTable.certificate, CertificateFiles(certificate: "")),
                                required: ["certificate"]),
                        ])
                    )
                ])
            ),
            (
                "rule_set",
                closed(
                    ObjectKeys.ruleSet, [("name", reference("name")), ("rules", .object(list("rule")))],
                    required: ["name", "rules"])
            ),
            (
                "rule",
                closed(
                    ObjectKeys.rule + ObjectKeys.actions,
                    [
                        ("name", reference("name")),
                        (
                            "when",
                            closed(
                                ObjectKeys.conditions,
                                [("host", .object(oneOrList(scalar))), ("path", .object(oneOrList(scalar)))])
                        ),
                        ("rule_set", reference("name")),
                    ] + actions,
                    choices: ["rule_set", "forward", "redirect", "fixed_response"])
            ),
            (
                "target_group",
                closed(
                    ObjectKeys.targetGroup,
                    [
                        ("name", reference("name")), ("targets", .object(list("target", minimum: 1))),
                    ] + groupSettings(inDefaults: false),
                    required: ["name", "targets"])
            ),
            (
                "target",
                .object([
                    (
                        "anyOf",
                        .array([
                            scalar,
                            closed(
                                ObjectKeys.target,
                                [("address", scalar)]
                                    + properties(SettingsTable.target, Target(address: .unix(path: ""))),
                                required: ["address"]),
                        ])
                    )
                ])
            ),
            (
                "forward",
                .object([
                    (
                        "anyOf",
                        .array([
                            scalar, .object(list("target", minimum: 1)),
                            closed(
                                ObjectKeys.forward,
                                [
                                    (
                                        "groups",
                                        .object([
                                            ("type", .string("object")), ("minProperties", .integer(1)),
                                            ("propertyNames", reference("name")),
                                            ("additionalProperties", typed(.integer(0...999), unset: nil)),
                                        ])
                                    )
                                ], required: ["groups"]),
                        ])
                    )
                ])
            ),
            ("redirect", object(SettingsTable.redirect, Redirect())),
            ("fixed_response", object(SettingsTable.fixedResponse, FixedResponse(status: 200), required: ["status"])),
            ("notify", object(SettingsTable.notify, NotifyHook(), required: ["on"])),
        ]
    }

    private static var actions: [(key: String, value: JSON)] {
        ObjectKeys.actions.map { ($0.key, reference($0.key)) }
    }

    private static let off: JSON = .object([("enum", .array([.string("off"), .boolean(false)]))])

    private static func orOff(_ schema: JSON) -> JSON { .object([("anyOf", .array([schema, off]))]) }

    private static func listenerTLS(inDefaults: Bool) -> JSON {
        let certificates: [(key: String, value: JSON)] =
            inDefaults ? [] : [("certificates", .object(oneOrList(reference("certificate"))))]
        return closed(
            ObjectKeys.listenerTLS,
            certificates + properties(SettingsTable.listenerTLS, ListenerTLS(certificates: []), inDefaults: inDefaults)
                + [("strict_transport", orOff(object(SettingsTable.strictTransport, StrictTransport())))])
    }

    private static func groupSettings(inDefaults: Bool) -> [(key: String, value: JSON)] {
        let check = properties(SettingsTable.healthCheck, HealthDraft(), inDefaults: inDefaults)
        let probe =
            properties(SettingsTable.httpProbe, HTTPProbe(), inDefaults: inDefaults)
            + properties(SettingsTable.checkKinds, KindOptions(), inDefaults: inDefaults)
            + (inDefaults ? [] : [("script", script)])
        let further =
            properties(SettingsTable.grpcProbe, GRPCProbe(), inDefaults: inDefaults)
            + properties(SettingsTable.agentProbe, AgentProbe(), inDefaults: inDefaults)
            + properties(SettingsTable.commandProbe, CommandProbe(), inDefaults: inDefaults)
            + properties(SettingsTable.fileProbe, FileProbe(), inDefaults: inDefaults)
        let tls = properties(SettingsTable.targetTLS, TargetTLS(), inDefaults: inDefaults)
        return properties(SettingsTable.targetGroup, TargetGroup(id: "", targets: []), inDefaults: inDefaults) + [
            ("tls", closed(ObjectKeys.targetTLS, tls + [("certificate", orOff(reference("certificate")))])),
            ("health_check", orOff(closed([], check + probe + further))),
        ] + (inDefaults ? [] : [("health_checks", healthChecks(check + probe + further))]) + [
            ("passive_checks", object(SettingsTable.passiveChecks, PassiveChecks(), inDefaults: inDefaults)),
            ("sorry_response", orOff(object(SettingsTable.fixedResponse, FixedResponse(status: 503)))),
        ]
    }

    private static var script: JSON {
        let steps = ScriptStepKey.allCases.map { ($0.rawValue, JSON.object([("type", .string("string"))])) }
        let step: JSON = .object([
            ("type", .string("object")), ("additionalProperties", .boolean(false)), ("minProperties", .integer(1)),
            ("maxProperties", .integer(1)), ("properties", .object(steps)),
        ])
        return .object([
            ("description", .string(ObjectKeys.healthCheck[0].summary)), ("type", .string("array")), ("items", step),
            ("minItems", .integer(1)),
        ])
    }

    private static func healthChecks(_ check: [(key: String, value: JSON)]) -> JSON {
        let part = properties(SettingsTable.healthChecksPart, HealthChecks.Part(HealthCheck()))
        let list: JSON = .object([
            ("type", .string("array")), ("items", closed([], check + part)), ("minItems", .integer(2)),
        ])
        return closed(
            ObjectKeys.healthChecks, properties(SettingsTable.healthChecks, HealthChecks()) + [("checks", list)],
            required: ["checks"])
    }

    // MARK: - Rows

    private static let emptyListener = Listener(id: "", addresses: [], rules: [], defaultAction: nil)

    private static func object<Root>(
        _ place: SettingsPlace<Root>, _ base: Root, inDefaults: Bool = false, required: [String] = []
    ) -> JSON {
        closed([], properties(place, base, inDefaults: inDefaults), required: required)
    }

    private static func properties<Root>(
        _ place: SettingsPlace<Root>, _ base: Root, inDefaults: Bool = false
    ) -> [(key: String, value: JSON)] {
        place.keys.compactMap { key in
            if let setting = place.direct[key] {
                guard !inDefaults || setting.type.isInherited else { return nil }
                return (key, property(setting, base))
            }
            let rows = place.rows(of: key).filter { !inDefaults || $0.type.isInherited }
            let section = closed([], rows.map { ($0.keys[1], property($0, base)) })
            guard let short = place.shorthands[key], let row = rows.first(where: { $0.keys[1] == short }) else {
                return (key, section)
            }
            return (key, .object([("anyOf", .array([property(row, base), section]))]))
        }
    }

    private static func property<Root>(_ setting: Setting<Root>, _ base: Root) -> JSON {
        guard case .object(var members) = typed(setting.type, unset: setting.unset) else { return .boolean(true) }
        members.insert(("description", .string(setting.summary)), at: 0)
        switch setting.get(base) {
        case .integer(let number): members.append(("default", .integer(number)))
        case .boolean(let value): members.append(("default", .boolean(value)))
        case .texts(let texts): members.append(("default", .array(texts.map { .string($0) })))
        case .pairs: members.append(("default", .object([])))
        case let value: if let text = value?.text ?? setting.unset { members.append(("default", .string(text))) }
        }
        return .object(members)
    }

    private static func typed(_ type: SettingType, unset: String?) -> JSON {
        // Readers of YAML 1.1 take an `off` without quotes for false; it means the word here.
        let words: [JSON] = unset.map { $0 == "off" ? [.string($0), .boolean(false)] : [.string($0)] } ?? []
        var choices: [JSON] = []
        switch type {
        case .duration:
            choices.append(.object([("type", .string("string")), ("pattern", .string("^([0-9]+(d|h|m|s|ms|us))+$"))]))
        case .size: choices.append(.object([("type", .string("string")), ("pattern", .string(SizeText.pattern))]))
        case .integer(let range):
            choices.append(
                .object([
                    ("type", .string("integer")), ("minimum", .integer(range.lowerBound)),
                    ("maximum", .integer(range.upperBound)),
                ]))
            choices.append(.object([("type", .string("string")), ("pattern", .string("^-?[0-9]+$"))]))
        case .boolean:
            choices.append(.object([("type", .string("boolean"))]))
            choices.append(.object([("enum", .array([.string("true"), .string("false")]))]))
        case .choice(let names, _, _):
            let falseToo: [JSON] = names.contains("off") ? [.boolean(false)] : []
            choices.append(.object([("enum", .array(names.map { .string($0) } + falseToo))]))
        case .name(_, let names): choices.append(.object([("enum", .array(names.map { .string($0) }))]))
        case .text, .path: return .object([("anyOf", .array([scalar]))])
        case .list: return .object(oneOrList(scalar))
        case .pairs: return .object([("type", .string("object")), ("additionalProperties", scalar)])
        }
        if !words.isEmpty { choices.append(.object([("enum", .array(words))])) }
        return .object([("anyOf", .array(choices + [reference("reference")]))])
    }

    // MARK: - Parts

    private static let scalar: JSON = reference("scalar")

    private static func reference(_ name: String) -> JSON { .object([("$ref", .string("#/$defs/\(name)"))]) }

    private static func list(_ item: String, minimum: Int = 0) -> [(key: String, value: JSON)] {
        let bound: [(key: String, value: JSON)] = minimum > 0 ? [("minItems", .integer(minimum))] : []
        return [("type", .string("array")), ("items", reference(item))] + bound
    }

    private static func oneOrList(_ item: JSON) -> [(key: String, value: JSON)] {
        [("anyOf", .array([item, .object([("type", .string("array")), ("items", item)])]))]
    }

    private static func described(_ keys: [ObjectKey], _ key: String, _ members: [(key: String, value: JSON)]) -> JSON {
        let summary = keys.first { $0.key == key }?.summary
        return .object((summary.map { [("description", .string($0))] } ?? []) + members)
    }

    /// A mapping that has no other keys; `choices` are keys of which it has one at least.
    private static func closed(
        _ keys: [ObjectKey], _ properties: [(key: String, value: JSON)], required: [String] = [], choices: [String] = []
    ) -> JSON {
        let described = properties.map { property -> (key: String, value: JSON) in
            guard case .object(let members) = property.value, !members.contains(where: { $0.key == "description" })
            else {
                return property
            }
            return (property.key, self.described(keys, property.key, members))
        }
        var members: [(key: String, value: JSON)] = [("type", .string("object")), ("properties", .object(described))]
        if !required.isEmpty { members.append(("required", .array(required.map { .string($0) }))) }
        if !choices.isEmpty {
            members.append(("anyOf", .array(choices.map { .object([("required", .array([.string($0)]))]) })))
        }
        members.append(("additionalProperties", .boolean(false)))
        return .object(members)
    }
}
