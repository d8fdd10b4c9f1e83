import PoiseModel
import PoiseSimulation

/// What one seed plays: how the network, the clients and the targets behave, and so what may go wrong.
struct Scenario: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// Nothing fails: each request has its answer.
        case calm
        /// Some targets refuse connections from the start; refusals are free, so each request has its answer.
        case refusing
        /// `max_connections` and a queue that is long enough: each request has its answer.
        case queued
        /// Targets cut, stall, lie, die and come back.
        case hostile
        /// Clients abort, dawdle, and send garbage.
        case rude
        /// All of it, with stalls of the loops, clock steps, changes of health and of configuration.
        case chaos
    }

    let kind: Kind
    var network = NetworkSettings()
    var workers = 1
    var targets = 2
    var deadTargets = 0
    var clients = 4
    var requestsPerClient = 4
    var bodyMax = 4_000
    var algorithm = Algorithm.roundRobin
    var timeouts = TargetTimeouts()
    var limits = TargetLimits()
    var retries = RetryPolicy()
    var passive = PassiveChecks()
    var failOpen = TargetGroup.FailOpen.whenNoneUsable
    var client = ClientTimeouts()
    var clientLimits = ClientLimits()

    /// Percent of answers that are faulty in some way.
    var faultyAnswers = 0
    /// Percent of clients that misbehave.
    var rudeClients = 0
    /// Targets die and come back.
    var targetsDie = false
    /// Targets close kept connections.
    var targetsCloseIdle = false
    /// Loops stand still for a while, with the clock going on.
    var loopsStall = false
    /// Health, weights and configuration change.
    var configurationChanges = false

    init(seed: UInt64) {
        var random = SeededRandom(seed ^ 0x5CE2_A210)
        kind = Kind.allCases[Int(seed % UInt64(Kind.allCases.count))]
        workers = random.pick(1...2)
        targets = random.pick(1...4)
        clients = random.pick(1...8)
        requestsPerClient = random.pick(1...6)
        algorithm = random.pick(Algorithm.allCases)
        network.splitPercent = random.pick([0, 30, 100])
        network.shortSendPercent = random.pick([0, 10, 60])
        network.instantConnectPercent = random.pick([0, 50, 100])
        network.delayMax = random.pick([.microseconds(50), .milliseconds(2), .milliseconds(20)])
        chooseSizes(&random)
        clientLimits.bodyRateMin = 0
        client.head = .seconds(300)
        timeouts.responseIdle = .seconds(300)
        switch kind {
        case .calm: break
        case .refusing:
            targets = random.pick(2...4)
            deadTargets = random.pick(1...targets - 1)
            retries.triesMax = targets
            passive.consecutiveFailures = 0
        case .queued:
            limits.connectionsMax = random.pick(1...3)
            limits.queueTimeout = .seconds(300)
            clients = random.pick(4...12)
        case .hostile: makeHostile(&random)
        case .rude: makeRude(&random)
        case .chaos:
            makeHostile(&random)
            makeRude(&random)
            loopsStall = random.chance(percent: 70)
            configurationChanges = random.chance(percent: 70)
            if random.chance(percent: 50) {
                limits.connectionsMax = random.pick(1...3)
                limits.queueTimeout = random.pick([.milliseconds(100), .seconds(5)])
                limits.queueMax = random.pick([1, 4, 1024])
            }
        }
    }

    /// Tiny socket buffers come with small bodies: a simulated byte has its price.
    private mutating func chooseSizes(_ random: inout SeededRandom) {
        switch random.pick(0...3) {
        case 0: (network.bufferBytesMin, network.bufferBytesMax, bodyMax) = (16, 300, 1_500)
        case 1: (network.bufferBytesMin, network.bufferBytesMax, bodyMax) = (4_000, 400_000, 250_000)
        default: (network.bufferBytesMin, network.bufferBytesMax, bodyMax) = (500, 100_000, 20_000)
        }
    }

    private mutating func makeHostile(_ random: inout SeededRandom) {
        faultyAnswers = random.pick([5, 30, 80])
        targetsDie = random.chance(percent: 50)
        targetsCloseIdle = random.chance(percent: 50)
        timeouts.responseIdle = random.pick([.milliseconds(500), .seconds(5)])
        timeouts.connect = random.pick([.milliseconds(300), .seconds(3)])
        timeouts.keepAliveIdle = random.pick([.milliseconds(50), .seconds(30)])
        retries.triesMax = random.pick(1...4)
        retries.onTimeout = random.chance(percent: 50)
        retries.onStatuses = random.chance(percent: 50) ? [502, 503] : []
        passive.consecutiveFailures = random.pick([0, 1, 3])
        failOpen = random.pick(TargetGroup.FailOpen.allCases)
    }

    private mutating func makeRude(_ random: inout SeededRandom) {
        rudeClients = random.pick([20, 50, 100])
        client.head = random.pick([.milliseconds(500), .seconds(10)])
        client.idle = random.pick([.milliseconds(200), .seconds(75)])
        client.bodyRateGrace = random.pick([.seconds(1), .seconds(10)])
        client.connectionAge = random.pick([.milliseconds(100), .seconds(3600)])
        clientLimits.bodyRateMin = random.pick([0, 1024])
        clientLimits.bodyBytesMax = random.chance(percent: 30) ? bodyMax / 2 : nil
    }

    /// Each request must be answered by a target, whole.
    var isPerfect: Bool {
        switch kind {
        case .calm, .refusing, .queued: true
        case .hostile, .rude, .chaos: false
        }
    }
}
