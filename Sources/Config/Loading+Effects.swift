import PoiseModel

extension Loading {
    /// `resolve_interval` where there is nothing to resolve. A warning: targets come and go. It is looked for here, as only the
    /// file tells what is written from what is so anyway.
    func warnOfIdleIntervals(_ configuration: Configuration) {
        for (index, group) in configuration.targetGroups.enumerated() {
            let path = "target_groups[\(index)].resolve_interval"
            guard isWrittenItself(path), !group.targets.isEmpty, !group.targets.contains(where: \.address.isName) else {
                continue
            }
            warning(
                .noEffect, at: place(of: path), "no target has a name that could be resolved again",
                fix: "remove it, or write a target by its name, such as app.internal:8080")
        }
    }
}
