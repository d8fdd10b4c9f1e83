import PoiseModel

/// A health check while it is read: what `defaults` and the group say, before they make one policy.
struct HealthDraft: Sendable {
    enum Kind: Sendable { case tcp, http }

    var isOff = false
    /// What `protocol` says; `nil` where it is not written.
    var chosen: Kind?
    var hasProbeKeys = false
    var isTimeoutSet = false
    var isEdgeSet = false
    var check = HealthCheck()
    var probe = HTTPProbe()

    var isHTTP: Bool { chosen.map { $0 == .http } ?? hasProbeKeys }

    init() {}

    /// The draft that gives `check` back: for the canonical form.
    init(_ check: HealthCheck?) {
        isOff = check == nil
        guard let check else { return }
        self.check = check
        if case .http(let probe) = check.kind { (chosen, self.probe) = (.http, probe) } else { chosen = .tcp }
        (isTimeoutSet, isEdgeSet) = (true, true)
    }

    /// Values that nobody wrote follow a shorter interval.
    func finished() -> HealthCheck? {
        guard !isOff else { return nil }
        var check = self.check
        check.kind = isHTTP ? .http(probe) : .tcp
        if !isTimeoutSet { check.timeout = min(check.timeout, check.interval) }
        if !isEdgeSet { check.edgeInterval = min(check.edgeInterval, check.interval) }
        return check
    }
}
