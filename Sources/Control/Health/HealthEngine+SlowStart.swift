import PoiseModel

/// A target's way up in slow start.
struct Ramp {
    /// When it became usable.
    let start: MonotonicTime
    /// The weight in force is that of this moment.
    var steppedAt: MonotonicTime
    var nextStep: MonotonicTime
    let stepMax: Nanoseconds

    /// - Parameter duration: of the whole way.
    init(of duration: Nanoseconds, at now: MonotonicTime) {
        (start, steppedAt, nextStep) = (now, now, now + Self.stepMin)
        stepMax = min(max(duration / 64, Self.stepMin), .seconds(1))
    }

    /// How long the target was usable at its last step.
    var elapsed: Nanoseconds { steppedAt - start }

    /// Shorter ones are not worth waking the workers for.
    static var stepMin: Nanoseconds { .milliseconds(50) }

    /// An eighth of the time so far until the next one, within bounds: a curve is steepest where it begins.
    mutating func step(at now: MonotonicTime) {
        steppedAt = now
        nextStep = now + min(max((now - start) / 8, Self.stepMin), stepMax)
    }
}

/// The targets in slow start, in an order of no account, and when the next of them takes a step.
struct Climb {
    /// Steps at one time. A worker takes 1 to 2 µs for each, and has requests waiting meanwhile: 10,000 targets that start
    /// at once take turns of a second, at 1 to 2 % of each worker's time.
    static let stepsMax = 512

    fileprivate var targets: [TargetRecord] = []
    /// Who has waited longest where not all may step.
    fileprivate var first = 0
    fileprivate(set) var nextStep: MonotonicTime?
}

/// Slow start: weights that rise by time alone.
extension HealthEngine {
    func startRamp(of target: TargetRecord, at now: MonotonicTime) {
        let duration = target.group.settings.slowStart
        guard duration.count > 0 else { return }
        let ramp = Ramp(of: duration, at: now)
        target.ramp = ramp
        climb.nextStep = min(climb.nextStep ?? ramp.nextStep, ramp.nextStep)
        guard !target.isClimbing else { return }
        target.isClimbing = true
        climb.targets.append(target)
    }

    /// Lets the targets step that are due, at most ``Climb/stepsMax`` of them; before ``Climb/nextStep`` none is.
    ///
    /// - Cost: a pass over the targets in slow start; then their groups are evaluated.
    func stepRamps(at now: MonotonicTime) {
        guard let due = climb.nextStep, due <= now else { return }
        climb.targets.removeAll { target in
            target.isClimbing = target.ramp != nil
            return !target.isClimbing
        }
        let count = climb.targets.count
        let first = count > 0 ? climb.first % count : 0
        var (steps, next) = (0, MonotonicTime?.none)
        for position in 0..<count {
            let target = climb.targets[(first + position) % count]
            guard var ramp = target.ramp else { continue }
            if ramp.nextStep <= now, steps < Climb.stepsMax {
                steps += 1
                climb.first = first + position + 1
                ramp.step(at: now)
                target.ramp = ramp.elapsed < target.group.settings.slowStart ? ramp : nil
                markDirty(target.group)
            }
            guard target.ramp != nil else { continue }
            next = min(next ?? ramp.nextStep, ramp.nextStep)
        }
        // Who came too late for this time is due at once; steps of several are taken together.
        climb.nextStep = next.map { max($0, now + Ramp.stepMin) }
    }
}
