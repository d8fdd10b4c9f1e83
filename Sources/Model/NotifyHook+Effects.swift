extension TargetGroup {
    /// Whether anything finds its targets unhealthy: a check, its own or another group's; a name that does not resolve; or
    /// their own failures.
    var noticesIllness: Bool {
        !healthChecks.parts.isEmpty || trackedGroup != nil || passive.ejects || targets.contains { $0.address.isName }
    }
}

extension PassiveChecks {
    fileprivate var ejects: Bool {
        ejectedPercentMax > 0 && (consecutiveFailures > 0 || failurePercent != nil || outliers.isOn)
    }
}

extension Configuration {
    /// Hooks that wait for targets to go down where nobody looks. A warning: checks come and go, as groups do.
    func idleHookWarnings() -> [ConfigError] {
        notify.enumerated().compactMap { index, hook in
            guard !hook.events.isEmpty, hook.events.allSatisfy({ [.targetDown, .targetUp].contains($0) }) else {
                return nil
            }
            let heard = targetGroups.filter { hook.concerns(hook.events[0], ofGroup: $0.id) }
            guard !heard.isEmpty, !heard.contains(where: \.noticesIllness) else { return nil }
            return ConfigError(
                code: .noEffect, path: "notify[\(index)].on",
                problem: hook.groups.isEmpty
                    ? "no group has a check, and none ejects targets, so none of them is ever down"
                    : "none of these groups has a check or ejects targets, so none of their targets is ever down",
                fix: "add a 'health_check' to a group, or remove the hook")
        }
    }
}
