import PoiseConfig
import PoiseControl
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTelemetry

/// `poise run`: the daemon in the foreground.
enum RunCommand {
    private static let options = [
        CommandOption("listen", value: "ADDRESS", help: "without a file: where to listen, as :8080", mayRepeat: true),
        CommandOption(
            "tls", value: "CERTIFICATE",
            help: "without a file: HTTPS with self-signed, BUNDLE.pem or CERTIFICATE.pem,KEY.pem", mayRepeat: true),
        CommandOption(
            "to", value: "TARGETS", help: "without a file: targets, as 127.0.0.1:7001,127.0.0.1:7002", mayRepeat: true),
    ]

    private static let usage = """
        poise run FILE
        poise run --listen ADDRESS [--tls CERTIFICATE] --to TARGET[,TARGET…]

        HUP applies the file again, TERM drains and stops, a second TERM stops at once, USR1 reopens the logs.
        """

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: options, positionalsMax: 1)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        let source = try Source(reader)
        let proposal: Proposal
        do { proposal = try source.load() } catch {
            Console.error(error.render(color: Terminal.isTerminal(2)))
            return 3
        }
        if !proposal.warnings.isEmpty { Console.error(proposal.warnings) }
        Signals.block(Service.signals)
        let executor = ControlActor.shared.executor
        let loop = EventLoop(executor: executor)
        let status = Lock<Int32>(0)
        executor.start {
            let code = await Service.run(proposal, from: source)
            status.withLock { $0 = code }
            executor.loop.stop()
        }
        loop.run()
        return status.withLock { $0 }
    }

    /// Where the configuration comes from, the first time and with each HUP.
    enum Source: Sendable {
        case file(String)
        case commandLine(listen: [String], to: [String], tls: [String])

        init(_ reader: ArgumentReader) throws(UsageError) {
            let (listen, to, tls) = (reader.strings("listen"), reader.strings("to"), reader.strings("tls"))
            if reader.positionals.first != nil, !tls.isEmpty {
                throw UsageError(problem: "a file and --tls", fix: "name the certificates in the file")
            }
            switch (reader.positionals.first, listen.isEmpty, to.isEmpty) {
            case (let path?, true, true): self = .file(path)
            case (nil, false, false): self = .commandLine(listen: listen, to: to, tls: tls)
            case (_?, _, _):
                throw UsageError(problem: "a file and --listen or --to", fix: "give one or the other")
            case (nil, false, true): throw UsageError(problem: "nowhere to send to", fix: "add --to 127.0.0.1:7001")
            case (nil, true, false): throw UsageError(problem: "nowhere to listen", fix: "add --listen :8080")
            case (nil, true, true): throw UsageError(problem: "no configuration file", fix: "poise run FILE")
            }
        }

        /// `nil` for the command line.
        var path: String? { if case .file(let path) = self { path } else { nil } }

        /// Leaves certificates to the daemon: thousands are not loaded twice.
        func load() throws(ConfigReport) -> Proposal {
            switch self {
            case .file(let path):
                Proposal(
                    try ConfigLoader.load(
                        path: path, files: SystemFiles(), environment: { Environment[$0] }))
            case .commandLine(let listen, let to, let tls):
                Proposal(
                    try CommandLineForm.load(
                        listen: listen, to: to, tls: tls, files: SystemFiles()))
            }
        }
    }
}

/// The daemon, and the signals that steer it.
@ControlActor
private final class Service {
    nonisolated static let signals = [Signals.terminate, Signals.interrupt, Signals.hangUp, Signals.user1]

    private let daemon = Daemon(log: { Console.error($0.line) }, version: Poise.version)
    private let source: RunCommand.Source
    private let incoming: AsyncSignals
    private var log: LogWriter?
    private var healthLog: LineWriter?
    private var admin: AdminServer?
    private var face: DaemonAdmin?
    private var isDraining = false
    /// Resumed when the daemon has drained.
    private var whenDrained: CheckedContinuation<Void, Never>?

    private init(_ source: RunCommand.Source, _ incoming: AsyncSignals) {
        (self.source, self.incoming) = (source, incoming)
    }

    /// - Returns: the exit status.
    static func run(_ proposal: Proposal, from source: RunCommand.Source) async -> Int32 {
        do {
            let incoming = try AsyncSignals(signals, loop: ControlActor.shared.executor.loop)
            return await Service(source, incoming).run(proposal)
        } catch {
            Console.error("poise: cannot receive signals: \(error)")
            return 1
        }
    }

    private func run(_ proposal: Proposal) async -> Int32 {
        let failure = await start(proposal)
        if let failure {
            Console.error(failure.description)
        } else {
            for entry in daemon.listening {
                // A listener without a name is called by protocol and addresses: one word for whoever reads this line.
                let name = entry.listener.split(separator: " ").joined(separator: "-")
                Console.print("ready listener=\(name) address=\(entry.address)")
            }
            if let address = admin?.metricsAddress { Console.print("ready metrics=\(address)") }
            Console.print("ready")
            ServiceManager.notify("READY=1\nMAINPID=\(ProcessLimits.processID)")
            ControlActor.shared.executor.start { await self.obeySignals() }
            await withCheckedContinuation { whenDrained = $0 }
        }
        await admin?.stop()
        daemon.stop()
        // Last of all: the workers have told of everything now.
        log?.stop()
        healthLog?.stop()
        return failure.map { $0.kind == .invalid ? 3 : 1 } ?? 0
    }

    /// - Returns: why nothing serves; `nil` when all does.
    private func start(_ proposal: Proposal) async -> ApplyRefusal? {
        do throws(ConfigError) {
            log = try LogWriter(proposal.configuration.logs, bell: daemon.accessBell)
            healthLog = try LineWriter(
                proposal.configuration.logs.health, setting: "logs.health", noun: "health log")
        } catch {
            return daemon.refusal(.system, error, proposal.origins)
        }
        let rights = LesserRights(proposal.configuration, file: source.path)
        rights?.giveLogs()
        if let log { daemon.snapshotObserver = { log.adopt($0) } }
        if let healthLog {
            do { try healthLog.start() } catch {
                return ApplyRefusal(.system, "poise: error: cannot start the thread of the health log: \(error)")
            }
            daemon.healthLog = HealthLog(healthLog)
        }
        let source = self.source
        let face = DaemonAdmin(
            daemon: daemon, version: Poise.version, file: source.path, log: log, healthLog: healthLog
        ) {
            () throws(AdminRefusal) in
            do throws(ConfigReport) { return try source.load() } catch { throw AdminRefusal(error) }
        }
        let admin = AdminServer(source: face)
        (self.face, self.admin) = (face, admin)
        let daemon = self.daemon
        do throws(ApplyRefusal) {
            let warnings = try await daemon.start(proposal) { () throws(ApplyRefusal) in
                do throws(ConfigError) { try await admin.start(proposal.configuration.process) } catch {
                    throw daemon.refusal(.system, error, proposal.origins)
                }
            }
            if !warnings.isEmpty { Console.error(warnings) }
        } catch {
            return error
        }
        for warning in rights?.warnings ?? [] { Console.error(warning.line) }
        do { try log?.start(rings: daemon.accessRings) } catch {
            return ApplyRefusal(.system, "poise: error: cannot start the thread of the access log: \(error)")
        }
        return nil
    }

    /// A task of its own: the end of a drain must not wait for another signal.
    private func obeySignals() async {
        while let signal = try? await incoming.next() {
            switch signal {
            case Signals.hangUp: await reload()
            case Signals.terminate, Signals.interrupt:
                if isDraining { daemon.endDrain() } else { ControlActor.shared.executor.start { await self.drain() } }
            case Signals.user1:
                log?.reopen()
                healthLog?.reopen()
            default: break
            }
        }
    }

    private func drain() async {
        isDraining = true
        await daemon.drain()
        whenDrained?.resume()
        whenDrained = nil
    }

    private func reload() async {
        ServiceManager.notify("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic.nanoseconds / 1000)")
        defer { ServiceManager.notify("READY=1") }
        do throws(AdminRefusal) {
            guard let summary = try await face?.reload() else { return }
            if !summary.warnings.isEmpty { Console.error(summary.warnings) }
        } catch {
            Console.error("\(error.message)poise: error: not applied, the running configuration stays")
        }
    }
}
