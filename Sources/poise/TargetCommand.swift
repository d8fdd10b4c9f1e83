import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// `poise target`: a sample target that says who it is, and misbehaves when told to.
enum TargetCommand {
    private static let options = [
        CommandOption(
            "listen", value: "ADDRESS", help: "where to listen, as 127.0.0.1:7001 or :7001; repeatable", mayRepeat: true
        ),
        CommandOption("unix", value: "PATH", help: "a unix socket to listen on too"),
        CommandOption(
            "tls", value: "CERTIFICATE",
            help: "speak HTTPS with self-signed, BUNDLE.pem or CERTIFICATE.pem,KEY.pem", mayRepeat: true),
        CommandOption("name", value: "NAME", help: "who it says it is (default: target)"),
        CommandOption("delay", value: "TIME", help: "wait so long before each answer, as 200ms"),
        CommandOption(
            "delay-distribution", value: "WORD", help: "fixed (default), or exponential with --delay as its mean"),
        CommandOption(
            "concurrency", value: "NUMBER",
            help: "work on so many requests at a time; the others wait in the order in which they came"),
        CommandOption("fail", value: "SHARE", help: "answer this share of requests with 503, 0 to 1"),
        CommandOption("fail-at-once", help: "what --fail fails does so without delay and without waiting"),
        CommandOption("cut", value: "SHARE", help: "close the connection instead of answering this share"),
        CommandOption("unhealthy", help: "start with /health answering 503"),
    ]

    private static let usage = """
        poise target --listen ADDRESS [OPTION…]

        Speaks HTTP/1.1, over TLS with --tls: for a group with protocol: HTTPS. Verification fails for self-signed; such a
        group needs tls: { verify: false }. Prints how many requests came when it is ended by SIGTERM or SIGINT.

        Answers every path with what it received, as JSON. Paths that do something:
          /health            200, or 503 after /fail?on=1 (and 200 again after /fail?on=0)
          /status/503        that status          /slow?ms=500       a late answer
          /bytes/1048576     so many bytes        /chunked/10        so many chunks (?size= ?ms= between them)
          /sse?count=&ms=    server-sent events   /echo              the content of the request, as it comes
          /cut?after=100     ends inside content  /reset?after=100   the same with RST; both without ?after=: no head
          /hang              never answers        /die               ends the process
        """

    static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        let reader = try ArgumentReader(arguments, options: options)
        if reader.wantsHelp {
            Console.print(reader.help(usage: usage))
            return 0
        }
        var addresses: [ListenAddress] = []
        for text in reader.strings("listen") {
            do { addresses.append(try ListenAddress(parsing: text)) } catch {
                throw UsageError(problem: "--listen: \(error.problem)", fix: error.fix)
            }
        }
        if let path = reader.string("unix") { addresses.append(.unix(path: path)) }
        guard !addresses.isEmpty else {
            throw UsageError(problem: "nowhere to listen", fix: "add --listen 127.0.0.1:7001")
        }
        let manners = try manners(reader)
        let tls = try TargetCertificates.context(of: reader.strings("tls"))
        return serve(addresses, name: reader.string("name") ?? "target", manners: manners, tls: tls)
    }

    private static func manners(_ reader: ArgumentReader) throws(UsageError) -> SampleTarget.Manners {
        let manners = SampleTarget.Manners(
            delay: try reader.duration("delay") ?? .zero, isDelayExponential: try isExponential(reader),
            concurrency: try reader.number("concurrency", in: 1...1_000_000), failShare: try reader.share("fail") ?? 0,
            failsAtOnce: reader.has("fail-at-once"), cutShare: try reader.share("cut") ?? 0,
            isUnhealthy: reader.has("unhealthy"))
        if reader.has("delay-distribution"), manners.delay == .zero {
            throw UsageError(problem: "--delay-distribution: there is no delay", fix: "add its mean: --delay 50ms")
        }
        if manners.failsAtOnce, manners.failShare == 0 {
            throw UsageError(problem: "--fail-at-once: nothing fails", fix: "say how much does: --fail 0.1")
        }
        return manners
    }

    private static func isExponential(_ reader: ArgumentReader) throws(UsageError) -> Bool {
        switch reader.string("delay-distribution") {
        case nil, "fixed": return false
        case "exponential": return true
        case .some(let word):
            throw UsageError(
                problem: "--delay-distribution: there is no '\(word)'",
                fix: Suggestion.fix(for: word, among: ["fixed", "exponential"], noneKnown: ""))
        }
    }

    private static func serve(
        _ addresses: [ListenAddress], name: String, manners: SampleTarget.Manners, tls: TLSServerContext?
    ) -> Int32 {
        let ends = [Signals.terminate, Signals.interrupt]
        Signals.block(ends)
        _ = ProcessLimits.raiseDescriptorLimit()
        let executor = LoopExecutor()
        let loop = EventLoop(executor: executor)
        let status = Lock<Int32>(0)
        executor.start {
            let target = SampleTarget(name: name, manners: manners, tls: tls, executor: executor)
            let failure = await target.serve(on: addresses, until: ends)
            if let failure {
                Console.error("poise target: \(failure)")
                status.withLock { $0 = 1 }
            }
            executor.loop.stop()
        }
        loop.run()
        return status.withLock { $0 }
    }
}
