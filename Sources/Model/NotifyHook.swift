/// Something that an operator wants to hear of. The raw values are the words of files, hooks and logs.
public enum NotifyEvent: String, Sendable, CaseIterable, Hashable {
    /// It is unhealthy, and was not before.
    case targetDown = "target_down"
    /// It is healthy again after a ``targetDown``.
    case targetUp = "target_up"
    /// No target is usable, backups included.
    case groupDown = "group_down"
    /// One is again.
    case groupUp = "group_up"
    /// Fewer targets are usable than the group's ``TargetGroup/minHealthy`` asks for.
    case groupBelowMinimum = "group_below_minimum"
    case groupMinimumMet = "group_minimum_met"
}

/// Whom to tell when the health of targets and groups changes, and how: a command or a webhook.
public struct NotifyHook: Sendable, Equatable {
    /// What logs and metrics call it; `nil`: by its place, ``displayName(at:)``.
    public var name: String?
    /// In written order; never empty in a valid hook.
    public var events: [NotifyEvent] = []
    /// Names of target groups, with `*` and `?`; empty means all.
    public var groups: [String] = []
    /// Program and arguments, run without a shell; empty for a webhook.
    public var command: [String] = []
    public var webhook: WebhookURL?
    /// Further fields of a webhook's request.
    public var headers: [HTTPProbe.HeaderField] = []
    /// PEM file of the authorities that an https webhook is verified with; `nil`: the system's.
    public var caFile: String?
    /// For each try.
    public var timeout: Nanoseconds = .seconds(10)
    /// Tries after the first one.
    public var retries = 3
    /// Before the second try; doubles with each further one, up to ``backoffMax``.
    public var backoff: Nanoseconds = .seconds(1)

    public static let backoffMax = Nanoseconds.seconds(300)

    public init() {}

    /// - Parameter index: among the hooks of the configuration.
    public func displayName(at index: Int) -> String { name ?? "notify-\(index + 1)" }

    /// Whether it is to be told of `event` in the group called `group`.
    public func concerns(_ event: NotifyEvent, ofGroup group: String) -> Bool {
        events.contains(event)
            && (groups.isEmpty || groups.contains { Self.matches(group, $0) })
    }

    /// Whether a text has wildcards.
    static func isPattern(_ text: String) -> Bool {
        text.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
    }

    static func matches(_ text: String, _ pattern: String) -> Bool { matches(Array(text.utf8), Array(pattern.utf8)) }

    /// `*` any run of bytes, `?` one; the whole text must match. Source: the two-pointer match, linear for one star and
    /// never worse than text × pattern.
    private static func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
        var (at, place) = (0, 0)
        var star: (place: Int, at: Int)?
        while at < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place, at)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == text[at] {
                (at, place) = (at + 1, place + 1)
            } else if let last = star {
                star = (last.place, last.at + 1)
                (place, at) = (last.place + 1, last.at + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// What is wrong between its settings.
    func validate() -> [ConfigError] {
        var errors: [ConfigError] = []
        if events.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "on", problem: "the hook says nothing of when",
                    fix: "add 'on:' with one or more of \(NotifyEvent.allCases.map(\.rawValue).joined(separator: ", "))"
                ))
        }
        if command.isEmpty == (webhook == nil) {
            errors.append(
                ConfigError(
                    code: command.isEmpty ? .missing : .conflict, path: command.isEmpty ? "" : "webhook",
                    problem: command.isEmpty ? "the hook tells nobody" : "the hook has a command and a webhook",
                    fix: command.isEmpty
                        ? "add 'command: [/path/to/program]' or 'webhook: https://…'" : "make two hooks of it"))
        }
        if webhook == nil, !headers.isEmpty {
            errors.append(
                ConfigError(
                    code: .conflict, path: "headers", problem: "a command has no headers",
                    fix: "remove them; give the command arguments"))
        }
        if let caFile, webhook?.isSecure != true {
            errors.append(
                ConfigError(
                    code: .conflict, path: "ca_file", problem: "nothing is verified with '\(caFile)'",
                    fix: "remove it, or use an https webhook"))
        }
        return errors
    }
}

extension Configuration {
    /// Programs that the configuration has Poise run, with the place of each: for whoever decides where they may come
    /// from.
    public var commands: [(path: String, command: [String])] { hookCommands + checkCommands }

    /// Programs that hooks run, with the place of each.
    public var hookCommands: [(path: String, command: [String])] {
        notify.enumerated().filter { !$1.command.isEmpty }.map { ("notify[\($0)].command", $1.command) }
    }

    /// Events of minimums come from groups that have one.
    private func minimumErrors(_ hook: NotifyHook) -> [ConfigError] {
        let minimums: [NotifyEvent] = [.groupBelowMinimum, .groupMinimumMet]
        guard let index = hook.events.firstIndex(where: minimums.contains) else { return [] }
        let heard = targetGroups.filter { hook.concerns(hook.events[index], ofGroup: $0.id) }
        guard heard.allSatisfy({ $0.minHealthy == nil }) else { return [] }
        // A group that is not there, or not yet, is told of elsewhere, or may have one.
        guard hook.groups.allSatisfy({ pattern in heard.contains { NotifyHook.matches($0.id, pattern) } }) else {
            return []
        }
        return [
            ConfigError(
                code: .conflict, path: "on[\(index)]",
                problem: hook.groups.isEmpty
                    ? "no group says how many targets it needs" : "none of these groups says how many targets it needs",
                fix: "add 'min_healthy: \"50%\"' to a group, or remove \(hook.events[index].rawValue)")
        ]
    }

    /// Patterns that may wait for groups to come, or are misspelt.
    func hookWarnings() -> [ConfigError] {
        notify.enumerated().flatMap { index, hook in
            hook.groups.enumerated().filter { _, pattern in
                NotifyHook.isPattern(pattern) && !targetGroups.contains { NotifyHook.matches($0.id, pattern) }
            }.map { part, pattern in
                ConfigError(
                    code: .noEffect, path: "notify[\(index)].groups[\(part)]",
                    problem: "no target group is called like '\(pattern)'",
                    fix: targetGroups.contains { $0.name != nil }
                        ? "the groups are \(targetGroups.compactMap(\.name).prefix(12).joined(separator: ", "))"
                        : "remove it, or add one")
            }
        }
    }

    func validateHooks() -> [ConfigError] {
        let names = targetGroups.map(\.id)
        var errors: [ConfigError] = []
        var first: [String: Int] = [:]
        for (index, hook) in notify.enumerated() {
            let here = "notify[\(index)]"
            errors += hook.validate().map { $0.under(here) }
            // Those without a name are called by their place.
            let name = hook.displayName(at: index)
            if let earlier = first[name] {
                let named = hook.name == nil ? earlier : index
                errors.append(
                    ConfigError(
                        code: .duplicate, path: "notify[\(named)].name", problem: "a second hook is called '\(name)'",
                        fix: "give it another name", related: "notify[\(named == index ? earlier : index)].name"))
            }
            first[name] = first[name] ?? index
            errors += minimumErrors(hook).map { $0.under(here) }
            for (part, group) in hook.groups.enumerated() {
                // A pattern may wait for groups to come.
                guard !NotifyHook.isPattern(group), !names.contains(group) else { continue }
                errors.append(
                    ConfigError(
                        code: .unknownName, path: "\(here).groups[\(part)]",
                        problem: "no target group is called '\(group)'",
                        fix: Suggestion.fix(for: group, among: targetGroups.compactMap(\.name), noneKnown: "add one")))
            }
        }
        return errors
    }
}
