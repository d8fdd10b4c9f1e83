extension Configuration {
    /// Programs that health checks run, with the place of each.
    public var checkCommands: [(path: String, command: [String])] {
        targetGroups.enumerated().flatMap { index, group in
            let parts = group.healthChecks.parts
            return parts.enumerated().compactMap { item, part -> (path: String, command: [String])? in
                guard case .exec(let probe) = part.check.kind, !probe.command.isEmpty else { return nil }
                let place = parts.count == 1 ? "health_check" : "health_checks.checks[\(item)]"
                return ("target_groups[\(index)].\(place).command", probe.command)
            }
        }
    }
}
