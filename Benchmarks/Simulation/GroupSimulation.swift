import PoiseBalancing
import PoiseHealth
import PoiseModel

/// One contender in one scenario, event by event: requests come at random moments (Poisson), a worker's own scheduler
/// chooses, targets answer after exponential times. Loads are those of all workers; answer times are each worker's own and
/// the worst counts, as in Poise. A request is tried once.
struct GroupSimulation {
    static let workerCount = 2
    private static let tick = Nanoseconds.milliseconds(100)
    /// Half of the requests come from the first 100 of them.
    private static let clientCount = 10_000, busyClientCount = 100

    private enum Event {
        case arrival, tick
        case answer(Int)
        case patienceOver(Int)
        case down(Int)
    }

    private struct Request {
        enum Stage { case waiting, queued, running, failing, abandoned, over }
        var arrived: MonotonicTime
        var chosen = MonotonicTime.zero
        var worker: Int
        var target = -1
        var stage = Stage.waiting
        var isMeasured: Bool
    }

    private struct Place {
        var queue: [Int] = []
        var running: [Int] = []
        var isDown = false
    }

    private struct View: TargetView {
        var weights: [Int32]
        var loads: [Int32]
        var averages: [[PeakAverage]]
        var totalLoad = 0
        var now = MonotonicTime.zero
        var count: Int { weights.count }
        func weight(at index: Int) -> Int { Int(weights[index]) }
        func load(at index: Int) -> Int { Int(loads[index]) }
        /// The groups here have one.
        func totalLoad(ofPart part: Int) -> Int { totalLoad }
        func answerTime(at index: Int) -> Int? { averages.compactMap { $0[index].value(at: now) }.max() }
    }

    private let scenario: Scenario
    private let contender: Contender
    private var chance: Chance
    private var events = EventQueue<Event>()
    private var schedulers: [TieredScheduler]
    private var view: View
    private var places: [Place]
    private var watches: [TargetWatch]
    private var factors: [any WeightFactor]
    private var requests: [Request] = []
    /// For a slot of any target, in order: `first` only.
    private var waiting: [Int] = []
    private var figures = Figures()
    private var now: MonotonicTime { view.now }

    init(_ scenario: Scenario, _ contender: Contender, seed: UInt64) {
        (self.scenario, self.contender) = (scenario, contender)
        let count = scenario.targets.count
        chance = Chance(seed: seed)
        let weights = scenario.targets.map { EffectiveWeight.of($0.weight) }
        let identities = (0..<count).map { hash64(Array("10.0.0.\($0 + 1):8080".utf8).span) }
        var chance = chance
        schedulers = (0..<Self.workerCount).map { _ in
            TieredScheduler(
                algorithm: contender.algorithm, options: contender.options, identities: identities, weights: weights,
                flowsMax: scenario.flowsMax, start: chance.next())
        }
        self.chance = chance
        view = View(
            weights: weights.map { Int32($0) }, loads: Array(repeating: 0, count: count),
            averages: Array(repeating: Array(repeating: PeakAverage(), count: count), count: Self.workerCount))
        places = Array(repeating: Place(), count: count)
        watches = Array(repeating: TargetWatch(), count: scenario.hasHealthChecks ? count : 0)
        factors = contender.weightFactors(in: scenario)
    }

    /// - Returns: what the requests that count have seen.
    mutating func run() -> Figures {
        for target in scenario.targets.indices { refresh(target) }
        for (target, settings) in scenario.targets.enumerated() where settings.isFlapping {
            events.insert(.down(target), at: Scenario.flappingUptime.count)
        }
        events.insert(.tick, at: 0)
        events.insert(.arrival, at: timeToNextArrival())
        while let (time, event) = events.removeFirst() {
            view.now = MonotonicTime(nanoseconds: time)
            switch event {
            case .arrival: arrive()
            case .tick: look()
            case .answer(let request): answered(request)
            case .patienceOver(let request): patienceOver(request)
            case .down(let target): fallOver(target)
            }
        }
        return figures
    }

    private var isOver: Bool { now - .zero >= scenario.length }

    private mutating func timeToNextArrival() -> Int64 {
        now.nanoseconds + Int64(chance.exponential() * 1e9 / scenario.requestsPerSecond)
    }

    // MARK: Requests

    private mutating func arrive() {
        guard !isOver else { return }
        events.insert(.arrival, at: timeToNextArrival())
        let id = requests.count
        requests.append(
            Request(
                arrived: now, worker: chance.below(Self.workerCount), isMeasured: now - .zero >= scenario.measuredFrom))
        if requests[id].isMeasured { figures.requests += 1 }
        let client = chance.below(chance.below(2) == 0 ? Self.busyClientCount : Self.clientCount)
        let random = chance.next()
        guard
            let target = schedulers[requests[id].worker].pick(
                from: view, key: mix64(UInt64(client + 1)), random: random)
        else {
            return end(id, .unavailable)
        }
        events.insert(.patienceOver(id), at: (now + Scenario.patience).nanoseconds)
        if contender.algorithm == .first, view.load(at: target) >= scenario.flowsMax {
            waiting.append(id)
        } else {
            send(id, to: target)
        }
    }

    private mutating func send(_ id: Int, to target: Int) {
        (requests[id].target, requests[id].chosen) = (target, now)
        view.loads[target] += 1
        view.totalLoad += 1
        if requests[id].isMeasured, target == scenario.odd { figures.toOdd += 1 }
        let settings = scenario.targets[target]
        let fails = settings.failures > 0 && chance.uniform() < settings.failures
        if places[target].isDown || fails {
            requests[id].stage = .failing
            events.insert(.answer(id), at: (now + Scenario.failureTime).nanoseconds)
        } else if places[target].running.count < settings.servers {
            serve(id)
        } else {
            requests[id].stage = .queued
            places[target].queue.append(id)
        }
    }

    private mutating func serve(_ id: Int) {
        let target = requests[id].target
        if requests[id].stage != .abandoned { requests[id].stage = .running }
        places[target].running.append(id)
        let mean = Double(Scenario.serviceTime.count) * slowness(of: target)
        events.insert(.answer(id), at: now.nanoseconds + Int64(chance.exponential() * mean))
    }

    private func slowness(of target: Int) -> Double {
        let settings = scenario.targets[target]
        let age = now - .zero - settings.joins
        guard age < settings.warmUp else { return settings.slowness }
        let cold = 1 - Double(age.count) / Double(settings.warmUp.count)
        return settings.slowness + (settings.slownessWhenCold - settings.slowness) * cold
    }

    private mutating func answered(_ id: Int) {
        let target = requests[id].target
        switch requests[id].stage {
        case .waiting, .queued, .over: return  // It was cut off when its target fell over.
        case .failing:
            let isDown = places[target].isDown || scenario.targets[target].failsAsUnavailable
            return end(id, isDown ? .unavailable : .errorAnswer)
        case .running: end(id, .answered)
        case .abandoned: requests[id].stage = .over
        }
        places[target].running.removeAll { $0 == id }
        while places[target].running.count < scenario.targets[target].servers, !places[target].queue.isEmpty {
            serve(places[target].queue.removeFirst())
        }
    }

    private mutating func patienceOver(_ id: Int) {
        switch requests[id].stage {
        case .failing, .abandoned, .over: return
        case .waiting: waiting.removeAll { $0 == id }
        case .queued, .running:
            end(id, .timedOut)
            requests[id].stage = .abandoned  // The target does not know, and works on it when its turn comes.
            return
        }
        end(id, .timedOut)
    }

    private mutating func end(_ id: Int, _ end: RequestEnd) {
        let request = requests[id]
        requests[id].stage = .over
        if request.isMeasured { figures.add(end, now - request.arrived) }
        let target = request.target
        guard target >= 0 else { return }
        view.loads[target] -= 1
        view.totalLoad -= 1
        let took = now - request.chosen
        let before = view.averages[request.worker][target]
        let isFailure = end == .unavailable || end == .timedOut
        view.averages[request.worker][target] =
            end == .answered ? before.observing(took, at: now) : before.observingFailure(took, at: now)
        for index in factors.indices { factors[index].ended(at: target, end, after: took, now: now) }
        if !watches.isEmpty {
            watches[target].ended(succeeded: !isFailure, mayEject: canSpareOne, now: now)
            refresh(target)
        }
        if !waiting.isEmpty, view.weights[target] > 0 { send(waiting.removeFirst(), to: target) }
    }

    // MARK: Targets

    private var canSpareOne: Bool {
        EjectionBudget.allows(
            targets: watches.count, usable: watches.count { $0.isUsable }, ejected: watches.count { $0.isEjected },
            percentMax: PassiveChecks().ejectedPercentMax)
    }

    private mutating func look() {
        for target in places.indices {
            let settings = scenario.targets[target]
            if settings.isFlapping, (now - .zero).count % Scenario.flappingPeriod.count == 0 {
                places[target].isDown = false
            }
            if !watches.isEmpty { watches[target].look(isUp: !places[target].isDown, random: chance.next(), now: now) }
            refresh(target)
        }
        if !isOver { events.insert(.tick, at: (now + Self.tick).nanoseconds) }
    }

    private mutating func fallOver(_ target: Int) {
        guard !isOver else { return }
        events.insert(.down(target), at: (now + Scenario.flappingPeriod).nanoseconds)
        let lost = places[target].running + places[target].queue
        places[target] = Place(isDown: true)
        for id in lost {
            if requests[id].stage == .abandoned { requests[id].stage = .over } else { end(id, .unavailable) }
        }
    }

    /// Tells the workers where a weight is another one now.
    private mutating func refresh(_ target: Int) {
        let settings = scenario.targets[target]
        let isUsable = now - .zero >= settings.joins && (watches.isEmpty || watches[target].isUsable)
        var weight = isUsable ? EffectiveWeight.of(settings.weight) : 0
        for index in factors.indices where weight > 0 {
            weight = factors[index].weight(weight, of: target, now: now)
        }
        guard weight != view.weight(at: target) else { return }
        view.weights[target] = Int32(weight)
        for worker in schedulers.indices { schedulers[worker].weightChanged(at: target, to: weight) }
    }
}
