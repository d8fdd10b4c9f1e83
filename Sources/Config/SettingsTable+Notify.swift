import PoiseModel

extension SettingsTable {
    /// Of the group; hooks hear of it.
    static let minHealthy = Setting<TargetGroup>.parsed(
        "min_healthy", at: \.minHealthy, form: "a number such as 2, or a share such as \"50%\"", unset: "off",
        attribute: "target_group_health.dns_failover.minimum_healthy_targets",
        "With fewer usable targets, backups not counted, hooks hear `group_below_minimum`.",
        format: \.description, parse: MinimumHealthy.init(parsing:))

    static let notify = SettingsPlace<NotifyHook>(
        "notify[]",
        [
            .text(
                "name", at: \.name, form: "a name of a-z, 0-9 and '-'", unset: "auto",
                "What logs and metrics call the hook; auto is notify-1, notify-2 …",
                check: { (text) throws(ConfigError) in
                    guard Identity.isName(text) else {
                        throw ConfigError(
                            code: .invalid, problem: "'\(text)' is not a name", fix: "use 1 to 32 of a-z, 0-9 and '-'")
                    }
                }),
            .init(
                keys: ["on"], type: .list(form: "events such as target_down"), unset: nil, attribute: nil,
                summary: "Events: \(NotifyEvent.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")).",
                get: { .texts($0.events.map(\.rawValue)) },
                set: { (root: inout NotifyHook, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    let names = NotifyEvent.allCases.map(\.rawValue)
                    root.events = try ListText.distinct(texts) { (text) throws(ConfigError) in
                        guard let event = NotifyEvent(rawValue: text) else {
                            throw ConfigError(
                                code: .invalid, problem: "'\(text)' is not one of \(names.joined(separator: ", "))",
                                fix: Suggestion.fix(for: text, among: names, noneKnown: ""))
                        }
                        return event
                    }
                }),
            .init(
                keys: ["groups"], type: .list(form: "names of target groups, with * and ?"), unset: nil, attribute: nil,
                summary: "Names of target groups, with `*` and `?`; all of them where there is none.",
                get: { .texts($0.groups) },
                set: { (root: inout NotifyHook, value: SettingValue?) throws(ConfigError) in
                    if case .texts(let texts)? = value { root.groups = try ListText.distinct(texts) { $0 } }
                }),
            .command(
                at: \.command, "Program and arguments, run without a shell; what happened stands in its environment."),
            .parsed(
                "webhook", at: \.webhook, form: "an http or https URL", unset: nil,
                "Where a POST with a JSON object goes; `file:PATH` keeps its token out of the configuration.",
                format: \.description, parse: WebhookURL.init(parsing:)),
            .init(
                keys: ["headers"], type: .pairs(form: "fields of the request, as 'Authorization: file:PATH'"),
                unset: nil,
                attribute: nil, summary: "webhook: further fields of the request.",
                get: { .pairs($0.headers.map { .init(name: $0.name, value: $0.value) }) },
                set: { (root: inout NotifyHook, value: SettingValue?) throws(ConfigError) in
                    guard case .pairs(let pairs)? = value else { return }
                    for pair in pairs { try TextForm.hookField(pair.name, pair.value) }
                    root.headers = pairs.map { .init(name: $0.name, value: $0.value) }
                }),
            .path(
                "ca_file", at: \.caFile, form: "the path of a PEM file", unset: "system",
                "webhook: authorities that an https server is verified with."),
            .duration(
                "timeout", at: \.timeout, in: .milliseconds(10) ... .seconds(600),
                "How long a try may take; a command is ended then."),
            .integer("retries", at: \.retries, in: 0...100, "Tries after the first one."),
            .duration(
                "backoff", at: \.backoff, in: .milliseconds(1)...NotifyHook.backoffMax,
                "Before the second try, give or take a quarter; doubles with each further one, up to 5m."
            ).only(by: "retries", else: "without retries nobody waits for the next", fix: "remove it, or raise retries")
            {
                $0.retries > 0
            },
        ])
}

extension TextForm {
    /// A field of a hook's request.
    static func hookField(_ name: String, _ value: String) throws(ConfigError) {
        guard !["content-type", "user-agent"].contains(name.lowercased()) else {
            throw ConfigError(code: .invalid, problem: "a hook sets the field \(name) itself", fix: "remove it")
        }
        do throws(ConfigError) { try field(name, value) } catch {
            throw ConfigError(
                code: error.code, problem: error.problem.substituting("a probe", with: "a hook"),
                fix: name.lowercased() == "host" ? "remove it: the URL says it" : error.fix)
        }
    }
}
