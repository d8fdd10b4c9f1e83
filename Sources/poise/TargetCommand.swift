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
        CommandOption("fail", value: "SHARE", help: "answer this share of requests with 503, 0 to 1"),
        CommandOption("cut", value: "SHARE", help: "close the connection instead of answering this share"),
        CommandOption("unhealthy", help: "start with /health answering 503"),
    ]

    private static let usage = """
        poise target --listen ADDRESS [OPTION…]

        Speaks HTTP/1.1, over TLS with --tls: for a group with protocol: HTTPS. Verification fails for self-signed; such a
        group needs tls: { verify: false }.

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
        let manners = SampleTarget.Manners(
            delay: try reader.duration("delay") ?? .zero, failShare: try reader.share("fail") ?? 0,
            cutShare: try reader.share("cut") ?? 0, isUnhealthy: reader.has("unhealthy"))
        let tls = try TargetCertificates.context(of: reader.strings("tls"))
        return serve(addresses, name: reader.string("name") ?? "target", manners: manners, tls: tls)
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
