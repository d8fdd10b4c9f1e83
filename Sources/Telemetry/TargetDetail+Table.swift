import PoiseModel

extension [TargetDetail] {
    /// For terminals: each target's state and checks, then its history, the latest first.
    public func table(isColored: Bool = false) -> String {
        map { $0.table(isColored: isColored) }.joined(separator: "\n")
    }
}

extension TargetDetail {
    fileprivate func table(isColored: Bool) -> String {
        var text = TextTable.paint(
            "\(StatusTable.harmless(target)) of \(StatusTable.harmless(group))\(isBackup ? " (backup)" : "")", .bold,
            isColored)
        text += "\n  state     "
        text += TextTable.paint(state.name, StatusTable.color(of: state), isColored)
        if reason != .none { text += ": \(reason.name)" }
        text += ", for \(StatusTable.span(age)), since \(UTCText.timestamp(since))\n"
        // Of a target that takes none, the weight is the one that it will have.
        let share = isUsable ? EffectiveWeightText.format(effectiveWeight, of: weight) : "\(weight)"
        text += "  traffic   \(isUsable ? "takes new requests" : "takes none"), weight \(share)"
        if isWeightOverridden { text += " (operator)" }
        if let ejectedFor { text += ", ejected for \(StatusTable.span(ejectedFor)) more" }
        if let drainsFor { text += ", cut in \(StatusTable.span(drainsFor))" }
        text += "\n"
        if let word = agent?.text { text += "            \(word)\n" }
        for check in checks { text += line(check) }
        if let follows {
            text += "  follows   \(StatusTable.harmless(follows.target)) of \(StatusTable.harmless(follows.group))\n"
        } else if checks.isEmpty {
            text += "  check     none\n"
        }
        guard transitions > 0 else { return text + "  history   no change since it came\n" }
        let shown = history.count < transitions ? "the last \(history.count) of \(transitions)" : "\(transitions)"
        text += "  history   \(shown) change\(transitions == 1 ? "" : "s"), the latest first\n"
        return text + changes(isColored: isColored)
    }

    private func line(_ check: Check) -> String {
        var text =
            "  check     \(StatusTable.harmless(check.summary)) every \(check.interval), timeout \(check.timeout), "
        text += "\(check.healthyThreshold) up, \(check.unhealthyThreshold) down: "
        text +=
            check.detectionTimeMax.map { "a dead target is out within \($0)\n" } ?? "it notices no death\n"
        text += "            last: "
        if let result = check.lastResult, let age = check.lastAge {
            text += "\(StatusTable.harmless(result)), \(StatusTable.span(age)) ago"
        } else {
            text += "none yet"
        }
        text += check.nextIn.map { ", next in \(StatusTable.span($0))" } ?? ", one is under way"
        return text + "\n"
    }

    private func changes(isColored: Bool) -> String {
        var table = TextTable(["  TIME", "#AGO", "FROM", "TO", "REASON", "EVIDENCE"])
        for change in history.reversed() where change.from != change.to || change.fromReason != change.reason {
            table.add([
                .init("  \(UTCText.timestamp(change.time))"), .init(StatusTable.span(change.age)),
                .init(change.from.name), .init(change.to.name, StatusTable.color(of: change.to)),
                .init(change.reason == .none ? "-" : change.reason.name),
                .init(StatusTable.harmless(change.evidence ?? "-")),
            ])
        }
        return table.render(isColored: isColored)
    }
}
