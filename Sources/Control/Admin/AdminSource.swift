import PoiseConfig
import PoiseModel
import PoiseTelemetry

/// What the admin API needs of the running Poise.
@ControlActor
public protocol AdminSource: AnyObject, Sendable {
    func overview() async -> Overview

    /// Puts a configuration that was sent into force: all of it or nothing.
    ///
    /// - Throws: ``AdminRefusal`` with 422 when it is not valid, with 409 when it is and cannot be in force, and why.
    func apply(_ bundle: ConfigBundle) async throws(AdminRefusal) -> ApplySummary

    /// Reads the configuration file again and applies it: also what HUP does.
    func reload() async throws(AdminRefusal) -> ApplySummary

    /// Takes a target out of service: no new flows, the ones it has may end.
    ///
    /// - Parameters:
    ///   - group: the name or id of its group.
    ///   - target: as status shows it, `10.0.0.11:8080`.
    func drain(group: String, target: String) async throws(AdminRefusal) -> TargetReport

    /// Puts a drained target back.
    func undrain(group: String, target: String) async throws(AdminRefusal) -> TargetReport

    /// Until the next apply that changes the target's weight.
    ///
    /// - Parameter weight: 0...256; `nil` gives it back to the file.
    func setWeight(_ weight: Int?, group: String, target: String) async throws(AdminRefusal) -> TargetReport

    /// A target with its history, in each group that has it.
    ///
    /// - Parameter group: `nil` for all of them.
    func details(target: String, group: String?) async throws(AdminRefusal) -> [TargetDetail]

    /// One target now; for whoever waits for its flows to end.
    func report(group: String, target: String) async throws(AdminRefusal) -> TargetReport
}

/// One target as it is after a command.
public struct TargetReport: Sendable, Equatable {
    public var group: String
    public var target: String
    public var state: TargetState
    public var reason: TargetReason
    public var weight: Int
    /// An operator's and not the file's.
    public var isWeightOverridden: Bool
    public var inFlight: Int

    public init(
        group: String, target: String, state: TargetState, reason: TargetReason, weight: Int,
        isWeightOverridden: Bool = false, inFlight: Int
    ) {
        self.isWeightOverridden = isWeightOverridden
        (self.group, self.target, self.state) = (group, target, state)
        (self.reason, self.weight, self.inFlight) = (reason, weight, inFlight)
    }

    var text: String {
        let why = reason == .none ? "" : " (\(reason.name))"
        let whose = isWeightOverridden ? " (operator)" : ""
        return "\(target) of \(group): \(state.name)\(why), weight \(weight)\(whose), \(inFlight) in flight"
    }

    func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("target_group", group)
        json.member("target", target)
        json.member("state", state.name)
        json.member("reason", reason.name)
        json.member("weight", weight)
        json.member("weight_overridden", isWeightOverridden)
        json.member("in_flight", inFlight)
        json.endObject()
    }
}

extension ApplySummary {
    /// As `poise apply` prints it.
    var report: String { "\(warnings)configuration \(generation) is in force: \(text)" }

    func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("generation", generation)
        for (noun, counts) in [
            ("listeners", listeners), ("rules", rules), ("target_groups", groups), ("targets", targets),
        ] {
            json.key(noun)
            json.beginObject()
            json.member("added", counts.added)
            json.member("changed", counts.changed)
            json.member("removed", counts.removed)
            json.member("unchanged", counts.unchanged)
            json.endObject()
        }
        json.member("connections_touched", connectionsTouched)
        json.member("flows_draining", flowsDraining)
        json.member("warnings", warnings)
        json.endObject()
    }
}

/// Why the admin API does not do what it was asked to.
public struct AdminRefusal: Error, Sendable, Equatable {
    /// 400, 404, 409, 422, 503
    public var status: Int
    /// A word for programs: `unknown_target`.
    public var code: String
    /// For people; may have several lines.
    public var message: String

    public init(status: Int, code: String, message: String) {
        (self.status, self.code, self.message) = (status, code, message)
    }

    /// A configuration that is not valid: all that is wrong with it, as a compiler prints it.
    public init(_ report: ConfigReport) {
        self.init(status: 422, code: "invalid_configuration", message: report.render())
    }

    init(_ refusal: ApplyRefusal) {
        let (status, code) =
            switch refusal.kind {
            case .invalid: (422, "invalid_configuration")
            case .needsRestart: (409, "needs_restart")
            case .system: (409, "cannot_apply")
            case .stopping: (503, "stopping")
            }
        self.init(status: status, code: code, message: refusal.description + "\n")
    }

    /// A group, target or weight that there is not.
    init(_ error: ConfigError) {
        let isUnknown = error.code == .unknownName
        self.init(
            status: isUnknown ? 404 : 400, code: isUnknown ? "unknown_\(error.path)" : "bad_\(error.path)",
            message: "\(error.problem)\nhelp: \(error.fix)\n")
    }
}
