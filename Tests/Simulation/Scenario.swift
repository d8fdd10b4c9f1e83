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
        /// All of it, with stalls of the loops, clock steps, operators and changes of configuration.
        case chaos
        /// Nothing fails but that the configuration changes all the time: each request has its answer.
        case applied
    }

    let kind: Kind
    var network = NetworkSettings()
    var workers = 1
    var targets = 2
    /// Targets that a change may bring in.
    var spareTargets = 0
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
    var healthCheck: HealthCheck?
    var slowStart = Nanoseconds.zero
    var deregistrationDelay = Nanoseconds.seconds(300)
    var hasBackups = false
    var hasSecondGroup = false
    /// Groups have a sorry response.
    var isSorry = false
    var usesProxyProtocol = false
    /// What connections to targets begin with; changes may turn it off and on.
    var introduction = TargetProxyProtocol()
    /// Percent of requests that ask for another protocol, where they may.
    var upgrades = 0
    var client = ClientTimeouts()
    var clientLimits = ClientLimits()
    /// Percent of connections on which clients speak HTTP/2.
    var multiplexingClients = 0
    /// In which targets are spoken to; changes may mix both.
    var version = TargetGroup.HTTPVersion.http1
    var mixesVersions = false
    var clientHTTP2 = HTTP2Settings()
    var targetHTTP2 = HTTP2Settings()

    /// Percent of requests that HTTP/2 targets refuse untouched, or answer while they go away.
    var refusals = 0
    var goAways = 0
    /// Percent of requests that HTTP/2 clients give up.
    var cancels = 0
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
    /// The clock leaps forward, for all at once.
    var clockLeaps = false
    var configurationChanges = false
    /// Targets are drained, taken back and weighed by hand.
    var operatorsMeddle = false

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
        chooseFeatures(&random)
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
            healthCheck = nil
            hasBackups = false
            hasSecondGroup = false
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
            clockLeaps = random.chance(percent: 20)
            configurationChanges = random.chance(percent: 70)
            operatorsMeddle = random.chance(percent: 50)
            deregistrationDelay = random.pick([.zero, .milliseconds(100), .seconds(5)])
            spareTargets = 2
            if random.chance(percent: 50) {
                limits.connectionsMax = random.pick(1...3)
                limits.queueTimeout = random.pick([.milliseconds(100), .seconds(5)])
                limits.queueMax = random.pick([1, 4, 1024])
            }
        case .applied:
            configurationChanges = true
            spareTargets = 2
            requestsPerClient = random.pick(4...10)
            limits.queueTimeout = .seconds(300)
            if random.chance(percent: 50) { limits.connectionsMax = random.pick(1...3) }
        }
        chooseVersions(seed)
        chooseIntroduction(seed)
    }

    /// From a sequence of its own: what else a seed plays stays what it was.
    private mutating func chooseIntroduction(_ seed: UInt64) {
        var random = SeededRandom(seed ^ 0x5052_4F58)
        guard !usesHTTP2Targets, random.chance(percent: 40) else { return }
        introduction = random.pick([
            TargetProxyProtocol(version: .v1), TargetProxyProtocol(version: .v2),
            TargetProxyProtocol(version: .v2, fields: TargetProxyProtocol.Field.allCases),
        ])
    }

    var usesHTTP1Targets: Bool { version == .http1 || mixesVersions }
    var usesHTTP2Targets: Bool { version == .http2 || mixesVersions }

    /// All four combinations, one after the other.
    private mutating func chooseVersions(_ seed: UInt64) {
        var random = SeededRandom(seed ^ 0x4854_5450)
        let combination = seed / UInt64(Kind.allCases.count) % 4
        if combination & 1 == 1 {
            multiplexingClients = random.pick([50, 100, 100])
            clientHTTP2.streamsMax = random.pick([1, 2, 5, 100])
            clientHTTP2.windowBytesMax = random.pick([65_535, 100_000, 1 << 20])
            clientHTTP2.pingInterval = random.pick([.zero, .seconds(30), isPerfect ? .seconds(30) : .milliseconds(300)])
            cancels = random.pick([0, 5, 30])
            // Who is told in time which requests are not processed loses none.
            if multiplexingClients == 100, isPerfect || kind == .hostile {
                client.idle = random.pick([.milliseconds(100), .seconds(75)])
                client.connectionAge = random.pick([.milliseconds(100), .seconds(2), .seconds(3600)])
            }
        }
        guard combination & 2 == 2 else { return }
        version = .http2
        mixesVersions = random.chance(percent: 25)
        targetHTTP2.streamsMax = random.pick([1, 2, 5, 100])
        targetHTTP2.connectionsMax = random.pick([1, 2, 8])
        targetHTTP2.windowBytesMax = random.pick([65_535, 100_000, 1 << 20])
        targetHTTP2.pingInterval = random.pick([.zero, .seconds(30), isPerfect ? .seconds(30) : .milliseconds(300)])
        refusals = random.pick([0, 0, 5, 20])
        goAways = random.pick([0, 0, 5, 20])
        // Who refuses the same request again and again fails in the end, and is not known to be well for a while.
        if kind != .hostile, kind != .chaos { passive.consecutiveFailures = 0 }
        // Streams wait for their place as exchanges do for a slot.
        if isPerfect { limits.queueTimeout = .seconds(300) }
    }

    private mutating func chooseFeatures(_ random: inout SeededRandom) {
        usesProxyProtocol = random.chance(percent: 25)
        upgrades = random.pick([0, 0, 30])
        hasSecondGroup = random.chance(percent: 40)
        hasBackups = random.chance(percent: 30)
        client.upgradedIdle = .seconds(300)
        if random.chance(percent: 70) {
            var check = HealthCheck()
            check.timeout = .milliseconds(100)
            check.interval = random.pick([.milliseconds(100), .milliseconds(500)])
            check.edgeInterval = .milliseconds(100)
            check.healthyThreshold = random.pick(1...3)
            check.unhealthyThreshold = random.pick(1...3)
            healthCheck = check
        }
        slowStart = random.pick([.zero, .zero, .seconds(2)])
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
        passive.failurePercent = random.pick([nil, 30])
        passive.failurePercentMinRequests = 5
        passive.ejectionTime = random.pick([.milliseconds(200), .seconds(2)])
        passive.ejectionTimeMax = .seconds(3)
        failOpen = random.pick(TargetGroup.FailOpen.allCases)
        isSorry = random.chance(percent: 20)
    }

    private mutating func makeRude(_ random: inout SeededRandom) {
        rudeClients = random.pick([20, 50, 100])
        client.head = random.pick([.milliseconds(500), .seconds(10)])
        client.idle = random.pick([.milliseconds(200), .seconds(75)])
        client.bodyRateGrace = random.pick([.seconds(1), .seconds(10)])
        client.connectionAge = random.pick([.milliseconds(100), .seconds(3600)])
        client.upgradedIdle = random.pick([.milliseconds(300), .seconds(20)])
        clientLimits.bodyRateMin = random.pick([0, 1024])
        clientLimits.bodyBytesMax = random.chance(percent: 30) ? bodyMax / 2 : nil
    }

    /// Each request must be answered by a target, whole.
    var isPerfect: Bool {
        switch kind {
        case .calm, .refusing, .queued, .applied: true
        case .hostile, .rude, .chaos: false
        }
    }
}
