import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTelemetry

/// Tells operators what happens to targets and groups: every event once, to each hook that asked for it.
///
/// Nothing here waits: an event goes into the hooks' queues, which are bounded, and each hook works on its own.
@ControlActor
final class NotifyHub {
    private var hooks: [HookDelivery] = []
    private var filter = EventFilter()
    private let tools: HookDelivery.Tools
    private let group: (String) -> GroupRecord?
    /// Of this run of the process: ids of events are unique over restarts.
    private let run = String(SystemRandom.word, radix: 16)
    private var number = 0

    /// - Parameter group: by id.
    init(tools: HookDelivery.Tools, group: @escaping (String) -> GroupRecord?) {
        (self.tools, self.group) = (tools, group)
    }

    /// The hooks of a configuration that comes into force. One that was there before keeps its queue and its counts, see
    /// ``HookIdentity``.
    func adopt(_ configuration: Configuration) {
        let old = hooks
        let places = HookIdentity.places(of: configuration.notify, among: old.map(\.settings))
        hooks = zip(configuration.notify, places).enumerated().map { index, new in
            let (settings, place) = new
            let name = settings.displayName(at: index)
            guard let place else { return HookDelivery(settings, name: name, tools: tools) }
            old[place].adopt(settings, name: name)
            return old[place]
        }
        for index in old.indices where !places.contains(index) { old[index].stop(.hookGone) }
        filter.keep { target in group(target.group)?.knows(target.label) ?? false }
        filter.keep(groups: Set(configuration.targetGroups.map(\.id)))
    }

    func observed(_ event: HealthEvent) {
        switch event {
        case .transition(let change):
            guard let event = filter.event(change) else { return }
            tell(
                event, group: change.group, target: change.target, from: change.from.state.name,
                to: change.to.state.name,
                reason: change.to.reason.name, evidence: change.evidence ?? "", at: change.to.since)
        case .availability(let group, let from, let to):
            let isUsed = self.group(group)?.isUsed ?? false
            let from = filter.toldAvailability(of: group) ?? from
            guard let event = filter.event(to, of: group, isUsed: isUsed) else { return }
            tell(event, group: group, from: from.name, to: to.name, at: tools.loop.now)
        case .forgotten(let target): filter.forget(.init(group: target.group, label: target.target))
        // It serves with less of its weight: neither up nor down.
        case .weight, .overridesEnded, .flagFile: return
        case .minimum(let group, let isMet):
            guard let event = filter.event(isBelowMinimum: !isMet, of: group) else { return }
            let words = ["minimum_met", "below_minimum"]
            tell(event, group: group, from: words[isMet ? 1 : 0], to: words[isMet ? 0 : 1], at: tools.loop.now)
        }
    }

    /// Counts of all hooks, in the order of the configuration.
    var facts: [Overview.HookFacts] { hooks.map(\.facts) }

    /// Nothing is told any more.
    func stop() {
        for hook in hooks { hook.stop(.poiseEnds) }
        hooks = []
    }

    private func tell(
        _ event: NotifyEvent, group id: String, target: String? = nil, from: String, to: String, reason: String = "",
        evidence: String = "", at time: MonotonicTime
    ) {
        let interested = hooks.filter { $0.settings.concerns(event, ofGroup: id) }
        guard !interested.isEmpty else { return }
        number += 1
        let record = group(id)
        let notification = Notification(
            id: "\(run)-\(number)", event: event, group: id, target: target, state: to, previousState: from,
            reason: reason, evidence: evidence,
            since: UTCText.timestamp(WallClock.nanoseconds(of: time)),
            healthy: record?.targets.count { $0.isUsable } ?? 0,
            targets: record.map { $0.targets.count + $0.unresolved.count } ?? 0,
            minimum: record?.minimum)
        for hook in interested { hook.add(notification) }
    }
}
