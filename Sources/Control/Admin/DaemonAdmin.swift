import PoiseConfig
import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseTelemetry

/// The running Poise as the admin API sees it.
@ControlActor
public final class DaemonAdmin: AdminSource {
    /// Reads the configuration again, wherever it came from.
    ///
    /// - Throws: what is wrong with it.
    public typealias Reading = @ControlActor () throws(AdminRefusal) -> Proposal

    private let daemon: Daemon
    private let version: String
    private let file: String?
    private let log: LogWriter?
    private let healthLog: LineWriter?
    private let readAgain: Reading
    private let startedAt: Int64
    private var appliedAt: Int64
    private var failedApplies = 0

    /// - Parameters:
    ///   - daemon: started.
    ///   - file: `nil` for a configuration from the command line.
    ///   - log: `nil` with the access log off.
    public init(
        daemon: Daemon, version: String, file: String?, log: LogWriter?, healthLog: LineWriter? = nil,
        readAgain: @escaping Reading
    ) {
        (self.daemon, self.version, self.file, self.log, self.healthLog) = (daemon, version, file, log, healthLog)
        self.readAgain = readAgain
        startedAt = Clock.wall - daemon.uptime.count
        appliedAt = Clock.wall
    }

    public func overview() async -> Overview {
        let workers = await daemon.workerStatus()
        let shares = await daemon.tierShares()
        var process = Overview.Process(
            version: version, processID: ProcessLimits.processID, startedAt: startedAt, uptime: daemon.uptime,
            workers: daemon.workerCount, connections: daemon.connectionCount,
            connectionsMax: daemon.limits.limit, generation: daemon.generation, appliedAt: appliedAt)
        (process.wakeUps, process.turns) = (workers.map(\.wakeUps), workers.map(\.turns))
        process.log = log?.statistics
        (process.file, process.failedApplies) = (file, failedApplies)
        process.healthLog = healthLog?.statistics
        process.hooks = daemon.hub.facts
        process.probes = daemon.prober.facts
        process.commands = Overview.CommandFacts(
            running: daemon.commands.running, waiting: daemon.commands.waiting, started: daemon.commands.started,
            timedOut: daemon.commands.timedOut)
        let now = daemon.now
        let bound = daemon.listening
        let listeners = (daemon.snapshot?.listeners ?? []).map { compiled in
            Overview.ListenerFacts(
                compiled,
                addresses: bound.filter { $0.listener == compiled.settings.displayName }.map(\.address),
                certificates: daemon.shelf.facts(of: compiled.settings))
        }
        let groups = daemon.health.map { group in
            var facts = Overview.GroupFacts(
                group.compiled, isFailOpen: group.availability == .failOpen, transitions: group.transitions,
                targets: group.targets.map { target in
                    var facts = Overview.TargetFacts(
                        label: target.label, counters: target.compiled?.counters, isBackup: target.isBackup,
                        state: target.status.state, reason: target.status.reason, age: now - target.status.since,
                        weight: target.weight, transitions: target.transitions,
                        lastProbe: target.lastProbe,
                        share: .init(
                            percent: target.weightPercent, cause: target.weightCause, isAnomalous: target.isAnomalous,
                            isMitigated: group.compiled.settings.mitigatesAnomalies),
                        agent: target.agent)
                    (facts.zone, facts.tier) = (target.compiled?.settings.zone, target.compiled?.settings.tier ?? 0)
                    facts.isWeightOverridden = target.isWeightOverridden
                    (facts.isInUse, facts.effectiveWeight) = (target.isInUse, Int(target.effectiveWeight))
                    return facts
                })
            facts.answeredBy = group.answeredBy
            facts.tiers = TierFacts.list(group.compiled, shares[group.compiled.slot] ?? [])
            return facts
        }
        return Overview(process: process, listeners: listeners, groups: groups)
    }

    // MARK: Configuration

    public func apply(_ bundle: ConfigBundle) async throws(AdminRefusal) -> ApplySummary {
        try await apply(by: "apply") { () throws(AdminRefusal) in
            let proposal: Proposal
            do throws(ConfigReport) { proposal = Proposal(try bundle.load()) } catch { throw AdminRefusal(error) }
            do throws(ApplyRefusal) { try daemon.refuseForeignCommands(proposal) } catch { throw AdminRefusal(error) }
            return proposal
        }
    }

    public func reload() async throws(AdminRefusal) -> ApplySummary {
        var read: Proposal?
        let summary = try await apply(by: "reload") { () throws(AdminRefusal) in
            let proposal = try readAgain()
            read = proposal
            return proposal
        }
        if let read { daemon.commandAuthority = CommandAuthority(read.configuration) }
        return summary
    }

    /// What is refused is counted, wherever it is found out.
    private func apply(by source: String, _ read: Reading) async throws(AdminRefusal) -> ApplySummary {
        do throws(AdminRefusal) {
            let proposal = try read()
            do throws(ApplyRefusal) {
                let summary = try await daemon.apply(proposal, by: source)
                appliedAt = Clock.wall
                return summary
            } catch {
                throw AdminRefusal(error)
            }
        } catch {
            failedApplies += 1
            throw error
        }
    }

    // MARK: Targets

    public func drain(group: String, target: String) async throws(AdminRefusal) -> TargetReport {
        let id = id(of: group)
        do { try daemon.drain(target: target, inGroup: id) } catch { throw AdminRefusal(error) }
        await daemon.waitUntilInForce()
        return try await report(group: group, target: target)
    }

    public func undrain(group: String, target: String) async throws(AdminRefusal) -> TargetReport {
        let id = id(of: group)
        do { try daemon.undrain(target: target, inGroup: id) } catch { throw AdminRefusal(error) }
        await daemon.waitUntilInForce()
        return try await report(group: group, target: target)
    }

    public func setWeight(_ weight: Int?, group: String, target: String) async throws(AdminRefusal) -> TargetReport {
        let id = id(of: group)
        do { try await daemon.setWeight(weight, target: target, inGroup: id) } catch { throw AdminRefusal(error) }
        await daemon.waitForTable(of: id)
        await daemon.waitUntilInForce()
        return try await report(group: group, target: target)
    }

    public func report(group: String, target: String) async throws(AdminRefusal) -> TargetReport {
        let id = id(of: group)
        let all: [TargetStatus]
        do { all = try daemon.status(ofTargets: target, inGroup: id) } catch { throw AdminRefusal(error) }
        // Of a name with several addresses: it drains until the last one has.
        let status = all.first { $0.status.state == .draining } ?? all[0]
        return TargetReport(
            group: group, target: target, state: status.status.state, reason: status.status.reason,
            weight: status.weight, isWeightOverridden: status.isWeightOverridden,
            inFlight: all.reduce(0) { $0 + max(0, $1.compiled?.counters.gauge(TargetCounter.inFlight) ?? 0) })
    }

    public func details(target: String, group: String?) async throws(AdminRefusal) -> [TargetDetail] {
        do { return try daemon.details(ofTarget: target, group: group) } catch { throw AdminRefusal(error) }
    }

    /// Groups are called by name or, those written in place, by id.
    private func id(of group: String) -> String {
        daemon.configuration?.targetGroups.first { $0.displayName == group }?.id ?? group
    }
}
