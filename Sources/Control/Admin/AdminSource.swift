import PoiseConfig
import PoiseModel
import PoiseTelemetry

/// What the admin API needs of the running Poise.
@ControlActor
public protocol AdminSource: AnyObject, Sendable {
    func overview() async -> Overview

    /// Puts a configuration that was sent into force: all of it or nothing.
    ///
    /// - Throws: ``AdminRefusal`` with 422 when it cannot be, and why.
    func apply(_ loaded: LoadedConfiguration) async throws(AdminRefusal) -> ApplySummary

    /// Reads the configuration file again and applies it, as HUP does.
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
    /// - Parameter weight: 0...256.
    func setWeight(_ weight: Int, group: String, target: String) async throws(AdminRefusal) -> TargetReport

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
    public var inFlight: Int

    public init(
        group: String, target: String, state: TargetState, reason: TargetReason, weight: Int, inFlight: Int
    ) {
        (self.group, self.target, self.state) = (group, target, state)
        (self.reason, self.weight, self.inFlight) = (reason, weight, inFlight)
    }

    var text: String {
        let why = reason == .none ? "" : " (\(reason.name))"
        return "\(target) of \(group): \(state.name)\(why), weight \(weight), \(inFlight) in flight"
    }

    func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("target_group", group)
        json.member("target", target)
        json.member("state", state.name)
        json.member("reason", reason.name)
        json.member("weight", weight)
        json.member("in_flight", inFlight)
        json.endObject()
    }
}

/// What an apply did.
public struct ApplySummary: Sendable, Equatable {
    public var generation: Int
    public var listeners: Int
    public var rules: Int
    public var targetGroups: Int
    public var targets: Int
    /// Client connections that must end or have ended because of the change.
    public var connectionsTouched: Int
    /// Rendered as a compiler would; empty without any.
    public var warnings: String

    public init(
        generation: Int, configuration: Configuration, connectionsTouched: Int, warnings: String = ""
    ) {
        self.generation = generation
        listeners = configuration.listeners.count
        rules = configuration.listeners.reduce(0) { $0 + $1.rules.count }
        targetGroups = configuration.targetGroups.count
        targets = configuration.targetGroups.reduce(0) { $0 + $1.targets.count }
        (self.connectionsTouched, self.warnings) = (connectionsTouched, warnings)
    }

    var text: String {
        "\(warnings)configuration \(generation) is in force: \(listeners) listeners, \(rules) rules, "
            + "\(targetGroups) target groups, \(targets) targets; \(connectionsTouched) connections touched"
    }

    func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.member("generation", generation)
        json.member("listeners", listeners)
        json.member("rules", rules)
        json.member("target_groups", targetGroups)
        json.member("targets", targets)
        json.member("connections_touched", connectionsTouched)
        json.member("warnings", warnings)
        json.endObject()
    }
}

/// Why the admin API does not do what it was asked to.
public struct AdminRefusal: Error, Sendable, Equatable {
    /// 400, 404, 409, 422, 500
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

    /// A configuration that is valid and cannot be put into force here, such as an address that is taken.
    public init(_ error: ConfigError) {
        self.init(
            status: 422, code: "cannot_apply",
            message: "error: \(error.path): \(error.problem) [\(error.code.name)]\nhelp: \(error.fix)\n")
    }

    public static func unknownGroup(_ name: String, among names: [String]) -> Self {
        Self(
            status: 404, code: "unknown_target_group",
            message: "no target group is called '\(name)'\nhelp: "
                + Suggestion.fix(for: name, among: names, noneKnown: "there is none") + "\n")
    }

    public static func unknownTarget(_ name: String, in group: String, among names: [String]) -> Self {
        Self(
            status: 404, code: "unknown_target",
            message: "the target group '\(group)' has no target '\(name)'\nhelp: "
                + Suggestion.fix(for: name, among: names, noneKnown: "it has none") + "\n")
    }
}
