import PoiseModel
import PoisePlatform
import PoiseSimulation

/// The configuration of a run, as an operator thinks of it: ``change(_:_:)`` makes one of the changes that operators
/// make, ``configuration(_:)`` writes the whole down.
struct Setup {
    struct Group {
        let id: String
        /// By the numbers of ``ScriptedTarget``.
        var targets: [(target: Int, weight: Int, isBackup: Bool)]
        var connectionsMax: Int?
        var algorithm: Algorithm
        /// How many tries, how long the queue: whatever changes nothing else.
        var queueMax = 1024
        var version = TargetGroup.HTTPVersion.http1
        var introduction = TargetProxyProtocol()
    }

    private(set) var groups: [Group]
    /// In order: the last digit of a request's number, and where it goes.
    private(set) var rules: [(digit: Int, shares: [Forward.Share])] = []
    private(set) var shares: [Forward.Share]
    /// A second listener, on an address of its own.
    private(set) var hasSide = false
    private var listenerMax: Int?
    private var headBytesMax = 32 * 1024
    /// A group that comes is never one that was.
    private var groupsMade = 1

    init(_ scenario: Scenario, _ random: inout SeededRandom) {
        let ordinary = 0..<scenario.targets
        var web = Group(
            id: "web", targets: ordinary.map { ($0, 1, false) }, connectionsMax: scenario.limits.connectionsMax,
            algorithm: scenario.algorithm)
        web.queueMax = scenario.limits.queueMax
        web.version = scenario.version
        web.introduction = scenario.introduction
        if scenario.hasBackups {
            for index in web.targets.indices.dropFirst() where random.chance(percent: 50) {
                web.targets[index].isBackup = true
            }
        }
        groups = [web]
        shares = [.init(group: "web")]
        if scenario.hasSecondGroup { addGroup(scenario, &random) }
    }

    static let frontAddress = SocketAddress.ip(IPAddress(v4: 0x0A00_0001), port: 80)
    static let sideAddress = SocketAddress.ip(IPAddress(v4: 0x0A00_0002), port: 80)

    static func address(ofTarget index: Int) -> IPAddress { IPAddress(v4: 0x0A00_0100 + UInt32(index)) }

    // MARK: Changes

    private mutating func addGroup(_ scenario: Scenario, _ random: inout SeededRandom) {
        let count = scenario.targets + scenario.spareTargets
        let targets = (0..<count).filter { _ in random.chance(percent: 50) }
        let id = "api-\(groupsMade)"
        groupsMade += 1
        var group = Group(
            id: id, targets: (targets.isEmpty ? [count - 1] : targets).map { ($0, random.pick(1...3), false) },
            connectionsMax: scenario.limits.connectionsMax, algorithm: random.pick(Algorithm.allCases))
        group.version = scenario.mixesVersions ? random.pick(TargetGroup.HTTPVersion.allCases) : scenario.version
        group.introduction = scenario.introduction
        groups.append(group)
        shares = [.init(group: "web", weight: random.pick(1...3)), .init(group: id, weight: random.pick(1...3))]
    }

    private mutating func removeGroup() {
        groups.removeLast()
        shares = [.init(group: "web")]
        for index in rules.indices { rules[index].shares = shares }
    }

    /// - Returns: what was done, for the trace.
    mutating func change(_ scenario: Scenario, _ random: inout SeededRandom) -> String {
        let index = random.pick(0...groups.count - 1)
        let group = groups[index].id
        let introduces = scenario.introduction.version != .off
        switch random.pick(0...(scenario.mixesVersions || introduces ? 14 : 12)) {
        case 0, 1:
            let digit = random.pick(0...9)
            guard !rules.contains(where: { $0.digit == digit }) else { return "nothing" }
            rules.insert((digit, [.init(group: random.pick(groups).id)]), at: random.pick(0...rules.count))
            return "a rule for \(digit)"
        case 2:
            guard !rules.isEmpty else { return "nothing" }
            return "no rule for \(rules.remove(at: random.pick(0...rules.count - 1)).digit)"
        case 3:
            rules.shuffle(using: &random)
            return "rules in another order"
        case 4, 5:
            let known = Set(groups[index].targets.map(\.target))
            let others = (scenario.deadTargets..<scenario.targets + scenario.spareTargets).filter {
                !known.contains($0)
            }
            guard !others.isEmpty else { return "nothing" }
            let target = random.pick(others)
            // In front of others, so that they are renumbered.
            groups[index].targets.insert((target, 1, false), at: random.pick(0...groups[index].targets.count))
            return "\(group) has target \(target)"
        case 6, 7:
            guard groups[index].targets.count > 1 else { return "nothing" }
            let gone = groups[index].targets.remove(at: random.pick(0...groups[index].targets.count - 1))
            // Some ordinary target stays, and some weight.
            groups[index].targets[0].weight = max(1, groups[index].targets[0].weight)
            groups[index].targets[0].isBackup = false
            return "\(group) has target \(gone.target) no more"
        case 8:
            let place = random.pick(0...groups[index].targets.count - 1)
            let isOnly = !groups[index].targets.indices.contains { $0 != place && groups[index].targets[$0].weight > 0 }
            groups[index].targets[place].weight = random.pick([isOnly ? 1 : 0, 1, 2, 256])
            return "\(group) weighs target \(groups[index].targets[place].target) anew"
        case 9:
            if random.chance(percent: 50) {
                groups[index].connectionsMax = random.pick([nil, 1, 2, 5])
                return "max_connections of \(group) is \(groups[index].connectionsMax ?? 0)"
            }
            listenerMax = random.pick([nil, 2, 1000])
            headBytesMax = random.pick([16, 32]) * 1024
            groups[index].algorithm = random.pick(Algorithm.allCases)
            return "other limits, and \(groups[index].algorithm)"
        case 13, 14:
            if introduces {
                let version = random.pick(TargetProxyProtocol.Version.allCases)
                groups[index].introduction = TargetProxyProtocol(version: version)
                return "\(group) begins with \(version)"
            }
            groups[index].version = groups[index].version == .http1 ? .http2 : .http1
            return "\(group) speaks \(groups[index].version)"
        default:
            if random.chance(percent: 50) {
                if groups.count > 1 { removeGroup() } else { addGroup(scenario, &random) }
                return "\(groups.count) groups"
            }
            hasSide.toggle()
            return hasSide ? "a second listener" : "no second listener"
        }
    }

    // MARK: Written down

    func configuration(_ scenario: Scenario) -> Configuration {
        var listeners = [listener("front", Self.frontAddress, scenario)]
        if hasSide { listeners.append(listener("side", Self.sideAddress, scenario)) }
        var process = ProcessSettings()
        process.shutdownDeadline = scenario.deregistrationDelay
        (process.zone, process.node) = ("a", "simulated")
        var written = groups.map { write($0, scenario) }
        // A backup group is always one further down, and the last has none.
        for index in written.indices.dropLast() {
            written[index].backupGroup = written[index + 1].name
        }
        return Configuration(process: process, listeners: listeners, targetGroups: written)
    }

    /// Zones in groups of three or five targets, a subset in groups of four or more.
    private func place(_ settings: inout TargetGroup, _ group: Group) {
        if group.targets.count % 2 == 1, group.targets.count > 1 {
            settings.zonePreference.mode = .ownZone
            for index in settings.targets.indices { settings.targets[index].zone = ["a", "b", "c"][index % 3] }
        }
        if group.targets.count > 3, !settings.algorithm.isKeyed, settings.algorithm != .first {
            settings.subsetSize = 2
        }
    }

    private func listener(_ name: String, _ address: SocketAddress, _ scenario: Scenario) -> Listener {
        guard case .ip(let ip, let port) = address else { preconditionFailure("only IP is simulated") }
        var settings = Listener(
            id: name, name: name, addresses: [.ip(ip, port: port)],
            rules: rules.map { rule in
                let conditions = [Condition.path([Glob("/r/*\(rule.digit)")])]
                return Rule(
                    id: Identity.rule(name: nil, conditions: conditions), conditions: conditions,
                    action: .forward(Forward(shares: rule.shares)))
            }, defaultAction: .forward(Forward(shares: shares)))
        settings.timeouts = scenario.client
        settings.limits = scenario.clientLimits
        settings.limits.connectionsMax = listenerMax
        settings.limits.headBytesMax = headBytesMax
        settings.http2 = scenario.clientHTTP2
        settings.proxyProtocol = scenario.usesProxyProtocol ? .required : .off
        return settings
    }

    private func write(_ group: Group, _ scenario: Scenario) -> TargetGroup {
        var settings = TargetGroup(
            id: group.id, name: group.id,
            targets: group.targets.map {
                Target(
                    address: .ip(Self.address(ofTarget: $0.target), port: 8080), weight: $0.weight,
                    isBackup: $0.isBackup)
            })
        settings.version = group.version
        settings.http2 = scenario.targetHTTP2
        settings.proxyProtocol = group.introduction
        // `first` goes by a limit.
        settings.algorithm = group.algorithm == .first && group.connectionsMax == nil ? .roundRobin : group.algorithm
        if settings.algorithm == .p2c { settings.algorithmOptions.choices = 2 + group.targets.count }
        if settings.algorithm == .hash { settings.algorithmOptions.key = [.header("x-absent"), .path] }
        if settings.algorithm.isKeyed {
            settings.algorithmOptions.table = HashTable.allCases[group.targets.count % HashTable.allCases.count]
            settings.algorithmOptions.boundedLoadPercent = group.targets.count.isMultiple(of: 2) ? 125 : nil
        }
        // Larger groups in two tiers.
        if group.targets.count > 3 {
            for index in settings.targets.indices { settings.targets[index].tier = index % 2 }
        }
        place(&settings, group)
        settings.timeouts = scenario.timeouts
        settings.limits = scenario.limits
        settings.limits.connectionsMax = group.connectionsMax
        settings.limits.queueMax = group.queueMax
        settings.retries = scenario.retries
        settings.passive = scenario.passive
        settings.failOpen = scenario.failOpen
        settings.healthCheck = scenario.healthCheck
        settings.slowStart = scenario.slowStart
        settings.deregistrationDelay = scenario.deregistrationDelay
        if scenario.isSorry { settings.sorryResponse = FixedResponse(status: 503, body: "we are sorry (really)") }
        return settings
    }
}
