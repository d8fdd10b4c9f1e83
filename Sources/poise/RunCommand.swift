import PoiseConfig
import PoiseControl
import PoiseLoop
import PoiseModel
import PoisePlatform

/// `poise run`: the daemon in the foreground.
enum RunCommand {
    private static let options = [
        CommandOption("listen", value: "ADDRESS", help: "without a file: where to listen, as :8080", mayRepeat: true),
        CommandOption(
            "to", value: "TARGETS", help: "without a file: targets, as 127.0.0.1:7001,127.0.0.1:7002", mayRepeat: true),
    ]

    private static let usage = """
        poise run FILE
        poise run --listen ADDRESS --to TARGET[,TARGET…]

        HUP applies the file again, TERM drains and stops, USR1 reopens the logs.
        """

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: options, positionalsMax: 1)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        guard let path = reader.positionals.first else {
            throw UsageError(problem: "no configuration file", fix: "poise run FILE")
        }
        let loaded: LoadedConfiguration
        do {
            loaded = try ConfigLoader.load(path: path, files: SystemFiles(), environment: { Environment[$0] })
        } catch {
            Console.error(error.render())
            return 3
        }
        let signals = [Signals.terminate, Signals.interrupt, Signals.hangUp, Signals.user1]
        Signals.block(signals)
        let executor = ControlActor.shared.executor
        let loop = EventLoop(executor: executor)
        let status = Lock<Int32>(0)
        executor.start {
            let code = await serve(loaded, until: signals)
            status.withLock { $0 = code }
            executor.loop.stop()
        }
        loop.run()
        return status.withLock { $0 }
    }

    @ControlActor private static func serve(_ loaded: LoadedConfiguration, until signals: [CInt]) async -> Int32 {
        let daemon = Daemon(log: { Console.error("\($0)") })
        do {
            try await daemon.start(loaded)
        } catch {
            Console.error("\(error)")
            return 1
        }
        for entry in daemon.listening { Console.print("ready listener=\(entry.listener) address=\(entry.address)") }
        Console.print("ready")
        guard let source = try? AsyncSignals(signals, loop: ControlActor.shared.executor.loop) else { return 1 }
        _ = try? await source.next()
        daemon.stop()
        return 0
    }
}

/// Files of the system for the configuration loader.
struct SystemFiles: FileReader {
    func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        do { return try Files.read(path, limit: bytesMax) } catch { throw FileReadError(reason: error.reason) }
    }
}
