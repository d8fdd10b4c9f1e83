import PoiseModel

/// The page `docs/settings.md`: every key of a configuration file, made from the rows that files are read with.
public enum SettingsDocument {
    /// Markdown; ends with a line end.
    public static var text: String {
        var page = introduction
        page += objects("The file", ObjectKeys.top)
        page += settings("process", SettingsTable.process, ProcessSettings())
        page += settings("logs", SettingsTable.logs, LogSettings())
        page += objects("defaults", ObjectKeys.defaults)
        page += objects("load_balancers[]", ObjectKeys.loadBalancer)
        page += objects("listeners[]", ObjectKeys.listener + ObjectKeys.actions)
        page += rows(SettingsTable.listener, Listener(id: "", addresses: [], rules: [], defaultAction: nil))
        page += objects("tls of listeners[]", ObjectKeys.listenerTLS)
        page += rows(SettingsTable.listenerTLS, ListenerTLS(certificates: []))
        page += settings("strict_transport", SettingsTable.strictTransport, StrictTransport())
        page += settings(
            "certificate", SettingsTable.certificate, CertificateFiles(certificate: ""), required: ["certificate"])
        page += objects("rule_sets[]", ObjectKeys.ruleSet)
        page += objects("rules[]", ObjectKeys.rule + ObjectKeys.actions)
        page += objects("when", ObjectKeys.conditions)
        page += objects("forward", ObjectKeys.forward)
        page += settings("redirect", SettingsTable.redirect, Redirect(), unwritten: "as it was")
        page += settings(
            "fixed_response", SettingsTable.fixedResponse, FixedResponse(status: 200), required: ["status"])
        page += objects("target_groups[]", ObjectKeys.targetGroup)
        page += rows(SettingsTable.targetGroup, TargetGroup(id: "", targets: []))
        page += objects("tls of target_groups[]", ObjectKeys.targetTLS)
        page += rows(SettingsTable.targetTLS, TargetTLS())
        page += objects("targets[]", ObjectKeys.target)
        page += rows(SettingsTable.target, Target(address: .unix(path: "")))
        page += settings("health_check", SettingsTable.healthCheck, HealthDraft())
        page += rows(SettingsTable.httpProbe, HTTPProbe())
        page += rows(SettingsTable.checkKinds, KindOptions())
        page += objects("script of health_check", ObjectKeys.healthCheck)
        page += rows(SettingsTable.grpcProbe, GRPCProbe())
        page += rows(SettingsTable.agentProbe, AgentProbe())
        page += rows(SettingsTable.commandProbe, CommandProbe())
        page += rows(SettingsTable.fileProbe, FileProbe())
        page += objects("health_checks", ObjectKeys.healthChecks)
        page += rows(SettingsTable.healthChecks, HealthChecks())
        page += rows(SettingsTable.healthChecksPart, HealthChecks.Part(HealthCheck()))
        page += settings("passive_checks", SettingsTable.passiveChecks, PassiveChecks())
        page += settings("notify[]", SettingsTable.notify, NotifyHook(), required: ["on"])
        return page
    }

    private static let introduction = """
        # Settings

        <!-- Made by SettingsDocument from the tables of the room Config; ConfigTests compares it. -->

        Units are part of a value. Lengths of time: `d h m s ms us`, from the longest to the shortest (`90s`, `1h30m`).
        Sizes: `B`, `KiB MiB GiB TiB` (1,024 each), `KB MB GB TB` (1,000 each). `${NAME}`, `${NAME:-default}` and
        `file:PATH` (relative to the file) stand for a value, never for a key, and are never shown; `$${` is a literal
        `${`. Scalars of `defaults` are inherited, lists never are.


        """

    private static func settings<Root>(
        _ title: String, _ place: SettingsPlace<Root>, _ base: Root, required: Set<String> = [],
        unwritten: String = "none"
    ) -> String {
        "## \(title)\n\n" + rows(place, base, required: required, unwritten: unwritten)
    }

    private static func rows<Root>(
        _ place: SettingsPlace<Root>, _ base: Root, required: Set<String> = [], unwritten: String = "none"
    ) -> String {
        var table = "| key | value | default | ELBv2 | |\n|---|---|---|---|---|\n"
        for setting in place.settings {
            let isShort = setting.keys.count == 2 && place.shorthands[setting.keys[0]] == setting.keys[1]
            let key = isShort ? setting.keys[0] : setting.keys.joined(separator: ".")
            let fallback = required.contains(key) ? "required" : defaultText(setting, base) ?? unwritten
            table += "| `\(key)` | \(range(setting)) | \(fallback) | \(setting.attribute.map { "`\($0)`" } ?? "") | "
            table += "\(setting.summary) |\n"
        }
        return table + "\n"
    }

    private static func objects(_ title: String, _ keys: [ObjectKey]) -> String {
        var table = "## \(title)\n\n| key | value | ELBv2 | |\n|---|---|---|---|\n"
        for key in keys {
            table += "| `\(key.key)` | \(key.form) | \(key.attribute.map { "`\($0)`" } ?? "") | \(key.summary) |\n"
        }
        return table + "\n"
    }

    private static func range<Root>(_ setting: Setting<Root>) -> String {
        let text =
            switch setting.type {
            case .duration(let range): "time, \(range.lowerBound) to \(range.upperBound)"
            case .size(let range): "size, \(SizeText.format(range.lowerBound)) to \(SizeText.format(range.upperBound))"
            case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
            case .boolean: "`true`, `false`"
            case .choice(let names, _, _), .name(_, let names): names.map { "`\($0)`" }.joined(separator: ", ")
            case .text(let form), .path(let form), .list(let form), .pairs(let form): form
            }
        return setting.unset.map { "\(text), or `\($0)`" } ?? text
    }

    private static func defaultText<Root>(_ setting: Setting<Root>, _ base: Root) -> String? {
        switch setting.get(base) {
        case .texts(let texts): texts.isEmpty ? "none" : "`[\(texts.joined(separator: ", "))]`"
        case .pairs: "none"
        case .text(let text) where text.isEmpty: "empty"
        case let value: (value?.text ?? setting.unset).map { "`\($0)`" }
        }
    }
}
