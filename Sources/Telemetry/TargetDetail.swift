import PoiseModel

/// One target in one group with its history, as `poise status TARGET` shows it. A value of one moment.
public struct TargetDetail: Sendable, Equatable {
    /// How it is probed.
    public struct Check: Sendable, Equatable {
        /// `GET /health`
        public var summary: String
        public var interval: Nanoseconds
        public var timeout: Nanoseconds
        /// Results in a row that change the verdict.
        public var healthyThreshold: Int
        public var unhealthyThreshold: Int
        /// The longest time from the target's death to its being unhealthy; `nil` of a check that a dead target does not fail.
        public var detectionTimeMax: Nanoseconds?
        /// What the last probe saw; `nil` before the first one.
        public var lastResult: String?
        /// How long ago that probe began.
        public var lastAge: Nanoseconds?
        /// Until the next one; `nil` while one is under way.
        public var nextIn: Nanoseconds?

        public init(_ check: HealthCheck) {
            (summary, interval, timeout) = (check.summary, check.interval, check.timeout)
            let counts = check.kind.countsSuccesses
            healthyThreshold = counts ? check.healthyThreshold : 1
            unhealthyThreshold = counts ? check.unhealthyThreshold : 1
            detectionTimeMax = check.kind.failsAtDeath ? check.detectionTimeMax : nil
        }
    }

    /// Somebody whose health it goes by, in another group.
    public struct Leader: Sendable, Equatable {
        public var group: String
        public var target: String

        public init(group: String, target: String) { (self.group, self.target) = (group, target) }
    }

    /// An entry of the history.
    public struct Change: Sendable, Equatable {
        /// Nanoseconds since 1970.
        public var time: Int64
        public var age: Nanoseconds
        public var from: TargetState
        public var fromReason: TargetReason
        public var to: TargetState
        public var reason: TargetReason
        /// What was seen; `nil` where nobody looked.
        public var evidence: String?

        public init(
            time: Int64, age: Nanoseconds, from: TargetState, fromReason: TargetReason, to: TargetState,
            reason: TargetReason, evidence: String?
        ) {
            (self.time, self.age, self.from, self.fromReason) = (time, age, from, fromReason)
            (self.to, self.reason, self.evidence) = (to, reason, evidence)
        }
    }

    public var group: String
    public var target: String
    public var state: TargetState
    public var reason: TargetReason
    /// Nanoseconds since 1970.
    public var since: Int64
    public var age: Nanoseconds
    /// 0...256: as configured, or as an operator set it.
    public var weight: Int
    /// In force at the workers, in 256ths: 0 when out.
    public var effectiveWeight = 0
    /// What its agent says of weight and limit; `nil` without an agent.
    public var agent: AgentFacts?
    /// An operator's and not the file's.
    public var isWeightOverridden = false
    public var isBackup = false
    /// Takes new flows.
    public var isUsable: Bool
    public var transitions: Int
    /// Until an ejection ends; `nil` without one.
    public var ejectedFor: Nanoseconds?
    /// Until flows that are left are cut; `nil` unless draining.
    public var drainsFor: Nanoseconds?
    /// The target whose health it goes by; `nil` where that is its own.
    public var follows: Leader?
    public var checks: [Check] = []
    /// Oldest first; the first one of all is how the target came.
    public var history: [Change] = []

    public init(
        group: String, target: String, state: TargetState, reason: TargetReason, since: Int64, age: Nanoseconds,
        weight: Int, isUsable: Bool, transitions: Int
    ) {
        (self.group, self.target, self.state, self.reason) = (group, target, state, reason)
        (self.since, self.age, self.weight) = (since, age, weight)
        (self.isUsable, self.transitions) = (isUsable, transitions)
    }
}

extension [TargetDetail] {
    /// One line: an object with a list of targets.
    public var json: [UInt8] {
        var json = JSONText([UInt8]())
        json.beginObject()
        json.key("targets")
        json.beginArray()
        for detail in self { detail.write(to: &json) }
        json.endArray()
        json.endObject()
        return json.sink + [0x0A]
    }
}

extension TargetDetail {
    fileprivate func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("target_group", group)
        json.member("target", target)
        json.member("state", state.name)
        json.member("reason", reason.name)
        json.member("since", UTCText.timestamp(since))
        json.member("age_seconds", seconds: age)
        json.member("weight", weight)
        json.member("weight_overridden", isWeightOverridden)
        json.key("effective_weight")
        json.number(EffectiveWeightText.number(effectiveWeight))
        json.key("agent")
        if let agent { agent.write(to: &json) } else { json.null() }
        json.member("backup", isBackup)
        json.member("usable", isUsable)
        json.member("health_transitions", transitions)
        json.member("ejected_for_seconds", seconds: ejectedFor)
        json.member("drains_for_seconds", seconds: drainsFor)
        json.key("follows")
        if let follows {
            json.beginObject()
            json.member("target_group", follows.group)
            json.member("target", follows.target)
            json.endObject()
        } else {
            json.null()
        }
        json.key("checks")
        json.beginArray()
        for check in checks { write(check, to: &json) }
        json.endArray()
        json.key("history")
        json.beginArray()
        for change in history { write(change, to: &json) }
        json.endArray()
        json.endObject()
    }

    private func write(_ check: Check, to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("check", check.summary)
        json.member("interval_seconds", seconds: check.interval)
        json.member("timeout_seconds", seconds: check.timeout)
        json.member("healthy_threshold", check.healthyThreshold)
        json.member("unhealthy_threshold", check.unhealthyThreshold)
        json.member("detection_seconds", seconds: check.detectionTimeMax)
        json.member("last_result", orNull: check.lastResult)
        json.member("last_age_seconds", seconds: check.lastAge)
        json.member("next_in_seconds", seconds: check.nextIn)
        json.endObject()
    }

    private func write(_ change: Change, to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("time", UTCText.timestamp(change.time))
        json.member("age_seconds", seconds: change.age)
        json.member("from", change.from.name)
        json.member("from_reason", change.fromReason.name)
        json.member("to", change.to.name)
        json.member("reason", change.reason.name)
        json.member("evidence", orNull: change.evidence)
        json.endObject()
    }
}

extension JSONText {
    fileprivate mutating func member(_ name: String, seconds span: Nanoseconds?) {
        key(name)
        if let span { number(span.seconds) } else { null() }
    }

    fileprivate mutating func member(_ name: String, orNull text: String?) {
        key(name)
        if let text { string(text) } else { null() }
    }
}
