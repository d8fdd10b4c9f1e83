import PoiseModel
import PoiseYAML

extension LaterFeatures {
    /// Words of other products for `notify` and what is in it.
    static let notifyElsewhere = ["hooks": "notify", "alerts": "notify", "mailers": "notify"]
    static let hookElsewhere = [
        "events": "on", "event": "on", "url": "webhook", "exec": "command", "script": "command", "group": "groups",
        "target_groups": "groups", "retry": "retries", "fields": "headers", "ca": "ca_file",
    ]
}

extension Loading {
    /// An entry of `notify`. One that cannot be read keeps its place.
    func readHook(_ node: YAMLNode, at path: String) -> NotifyHook {
        var hook = NotifyHook()
        guard
            let section = section(
                node, at: path, "a hook", keys: SettingsTable.notify.keys, elsewhere: LaterFeatures.hookElsewhere)
        else { return hook }
        read(SettingsTable.notify, from: section, into: &hook)
        refuseUseless(SettingsTable.notify, hook, at: path)
        let program = "\(section.path("command"))[0]"
        if let first = hook.command.first, !first.hasPrefix("/") || first.hasSuffix("/"), !isRefused(program) {
            // Without the text: it may come from `${}`.
            error(
                .invalid, at: places[program] ?? section.range, path: program, "the program has no absolute path",
                fix: "write all of it, such as /usr/local/bin/page: nothing is searched, and there is no shell")
        }
        return hook
    }
}

extension CanonicalWriter {
    mutating func write(_ hook: NotifyHook, at path: String) {
        // `on` is always there and comes first.
        line(1, "- on:", at: "\(path).on")
        for (index, event) in hook.events.enumerated() {
            line(3, "- \(scalar(event.rawValue, "\(path).on[\(index)]"))")
        }
        settings(
            SettingsTable.notify, hook, NotifyHook(), 2, path,
            without: hook.webhook == nil ? ["on", "headers", "ca_file"] : ["on", "command"])
    }
}
