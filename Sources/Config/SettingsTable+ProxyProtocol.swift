import PoiseModel

extension SettingsTable {
    static let proxyProtocolVersion = Setting<TargetGroup>.choice(
        "proxy_protocol", "version", at: \.proxyProtocol.version,
        elsewhere: [
            "1": "v1", "2": "v2", "on": "v2", "true": "v2", "required": "v2", "false": "off", "send-proxy": "v1",
            "send-proxy-v2": "v2",
        ],
        attribute: "proxy_protocol_v2.enabled",
        "Each connection to a target begins with a PROXY header that names the client "
            + "([what is sent](proxy-protocol.md)); with fields a mapping: `{ version: v2, tlvs: [ssl] }`.")

    static let proxyProtocolFields = Setting<TargetGroup>(
        keys: ["proxy_protocol", "tlvs"],
        type: .list(form: "a list of \(names.joined(separator: ", "))"), unset: nil, attribute: nil,
        summary: "v2: fields behind the addresses: \(names.joined(separator: ", ")).",
        get: { .texts($0.proxyProtocol.fields.map(\.rawValue)) },
        set: { (root: inout TargetGroup, value: SettingValue?) throws(ConfigError) in
            guard case .texts(let texts)? = value else { return }
            root.proxyProtocol.fields = try ListText.distinct(texts) { (text) throws(ConfigError) in
                guard let field = TargetProxyProtocol.Field(rawValue: text) else {
                    throw ConfigError(
                        code: .invalid, problem: "'\(text)' is no field that Poise sends",
                        fix: Suggestion.fix(for: text, among: names, noneKnown: ""))
                }
                return field
            }
        }
    ).only { $0.proxyProtocol.version == .v2 }

    private static let names = TargetProxyProtocol.Field.allCases.map(\.rawValue)
}
