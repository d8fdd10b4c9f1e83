import PoiseHealth
import PoiseModel
import PoisePlatform

/// Runs a program per probe: exit status 0 is healthy.
///
/// How many run at once, how long, and what is kept of their output is the ``CommandRunner``'s affair. A probe waits for its
/// place there and not among the probes with sockets, so that programs that hang hold up nobody else.
final class ExecRunner: WaitingProbe {
    private let command: Command
    private var run: CommandRun?
    /// The last one that took too long.
    private var late: CommandRun?

    override init(_ check: CheckRecord, prober: Prober) {
        guard case .exec(let probe) = check.spec.check.kind, let subject = check.spec.subject else {
            preconditionFailure("a program is told of its target")
        }
        command = Command(
            probe.command, environment: Self.environment(of: subject, check.spec), timeout: check.spec.check.timeout)
        super.init(check, prober: prober)
    }

    override var needsPlace: Bool { false }

    override func begin() {
        // The time of a program counts from its own start.
        cancelTimer()
        // One at a time: while the last one is being ended, it is still the one that does not end.
        if let late, !late.isGone {
            return finish(.failed(.timeout), .commandBefore)
        }
        late = nil
        run = prober.commands.run(command, isPatient: true) { [weak self] in self?.ended($0) }
    }

    override func release() {
        run?.cancel()
        run = nil
    }

    private func ended(_ result: CommandResult) {
        if result.end == .timedOut { late = run }
        run = nil
        let detail = ProbeResult.Detail.command(result.end, timeout: command.timeout, line: result.firstLine)
        switch result.end {
        case .exited(0): finish(.succeeded, detail)
        case .exited, .signalled: finish(.failed(.commandFailed), detail)
        case .timedOut: finish(.failed(.timeout), detail)
        case .notStarted(let code): finish(Errno.isShortage(code) ? .abandoned : .failed(.commandFailed), detail)
        }
    }

    /// What the program is told. The names that begin with HAPROXY are those of HAProxy's `external-check`, so that its
    /// programs run unchanged.
    static func environment(of subject: ProbeSubject, _ spec: ProbeSpec) -> [String: String] {
        var variables = [
            "POISE_TARGET_ADDRESS": subject.address, "POISE_TARGET_PORT": "\(subject.port)",
            "POISE_TARGET": subject.target, "POISE_GROUP": subject.group,
            "POISE_CHECK_TIMEOUT_MS": "\(spec.check.timeout.milliseconds)",
            "HAPROXY_SERVER_ADDR": subject.address, "HAPROXY_SERVER_PORT": "\(subject.port)",
            "HAPROXY_SERVER_NAME": subject.target, "HAPROXY_PROXY_NAME": subject.group,
        ]
        switch spec.address {
        case .ip(let ip, let port):
            (variables["POISE_CHECK_ADDRESS"], variables["POISE_CHECK_PORT"]) = ("\(ip)", "\(port)")
        case .unix(let path): (variables["POISE_CHECK_ADDRESS"], variables["POISE_CHECK_PORT"]) = (path, "0")
        }
        return variables
    }
}
