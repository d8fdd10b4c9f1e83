import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

@testable import PoiseControl

/// A moment, in seconds since the clock's start.
func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

func target(_ last: Int, port: UInt16 = 80, weight: Int = 1, backup: Bool = false) -> Target {
    Target(address: .ip(IPAddress(v4: 0x7F00_0000 + UInt32(last)), port: port), weight: weight, isBackup: backup)
}

/// `127.0.0.5:80` for 5.
func label(_ last: Int) -> String { "127.0.0.\(last):80" }

func group(_ id: String, _ targets: [Target], _ change: (inout TargetGroup) -> Void = { _ in }) -> TargetGroup {
    var group = TargetGroup(id: id, name: id, targets: targets)
    change(&group)
    return group
}

/// A rule for a path, forwarding to a group.
func rule(_ path: String, to group: String) -> Rule {
    let conditions = [Condition.path([Glob(path)])]
    return Rule(
        id: Identity.rule(name: nil, conditions: conditions), conditions: conditions,
        action: .forward(Forward(shares: [.init(group: group)])))
}

func listener(_ name: String, port: UInt16, rules: [Rule], to group: String? = nil) -> Listener {
    Listener(
        id: name, name: name, addresses: [.ip(IPAddress(v4: 0x7F00_0001), port: port)], rules: rules,
        defaultAction: group.map { .forward(Forward(shares: [.init(group: $0)])) })
}

/// Every group behind one listener.
func configuration(_ groups: [TargetGroup]) -> Configuration {
    Configuration(
        listeners: [listener("web", port: 80, rules: groups.map { rule("/\($0.id)", to: $0.id) })], targetGroups: groups
    )
}

/// For places where a local hides the function.
enum ControlSamples {
    static func all(_ groups: [TargetGroup]) -> Configuration { configuration(groups) }
}
