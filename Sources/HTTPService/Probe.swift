import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoisePlatform

/// What a probe does, the same each time.
public struct ProbePlan: Sendable {
    public let address: SocketAddress
    /// `nil`: only connect.
    let request: [UInt8]?
    let method: HTTPMethod
    /// How much content the verdict needs; with 0 the head is enough.
    let bodyBytesMax: Int

    /// Connects and closes.
    public init(connectingTo address: SocketAddress) {
        (self.address, request, method, bodyBytesMax) = (address, nil, .get, 0)
    }

    /// - Parameter bodyBytesMax: 0 ends the probe with the head of the answer.
    /// - Returns: nil where the request cannot be written in HTTP/1.1.
    public init?(sending request: HTTPClientRequest, to address: SocketAddress, bodyBytesMax: Int = 0) {
        guard let bytes = request.serialised() else { return nil }
        (self.address, self.request, method) = (address, bytes, request.knownMethod)
        self.bodyBytesMax = bodyBytesMax
    }
}

public enum ProbeOutcome: Sendable, Equatable {
    case connected
    /// `body`: at most the plan's `bodyBytesMax` bytes, the first ones.
    case response(status: Int, body: [UInt8])
    case failed(HTTPClientFailure)
}

/// One target's prober: connect → send → receive → close, driven by the loop without a task, and used again and again.
///
///     idle --start--> connecting --writable--> sending --all sent--> receiving --head (and content)--> idle
///                          `--------- refused, cut, malformed, deadline ---------------------------------^
///
/// Not `async`: 42 µs of CPU per probe of a local nginx, nearly all of it the kernel's (a C program that neither parses
/// nor times out needs 41), against 50 through ``HTTPClient``. No allocation but for content that is asked for.
///
/// A deadline that passed while this loop was busy is not held against the target: what is there is read first, and
/// the time that the loop was late is added once more.
public final class Probe: Channel {
    private enum State { case idle, connecting, sending, receiving }

    private let plan: ProbePlan
    private let onEnd: (ProbeOutcome) -> Void
    private var state = State.idle
    /// Counts the starts: `onEnd` may start anew, and whoever called ``finish(_:)`` must not go on with that run.
    private var run = 0
    private var sent = 0
    private var reader: AnswerReader
    /// Held from the first byte that came until the end; `start..<end` are unread.
    private var buffer: Buffer?
    private var start = 0
    private var end = 0
    private var status = 0
    private var body: [UInt8] = []
    private var timeout = Nanoseconds.zero
    private var deadline = MonotonicTime.zero

    /// Later than this is our own fault: a tick of the wheel and a full wake-up are well below.
    private static let latenessMax = Nanoseconds.milliseconds(50)

    /// - Parameter onEnd: called once per ``start(timeout:)``, from the loop, never from within `start`.
    public init(loop: EventLoop, plan: ProbePlan, onEnd: @escaping (ProbeOutcome) -> Void) {
        (self.plan, self.onEnd) = (plan, onEnd)
        reader = AnswerReader(
            method: plan.method, limits: HeadLimits(headBytesMax: BufferPool.standardBytes - 1024))
        super.init(loop: loop)
    }

    public var isRunning: Bool { state != .idle }

    /// Begins one probe. The one before must have ended.
    ///
    /// - Returns: the outcome where it is known at once (a machine near by refuses so); then `onEnd` is not called.
    public func start(timeout: Nanoseconds) -> ProbeOutcome? {
        precondition(state == .idle, "a probe is running")
        do { open(try loop.connect(to: plan.address)) } catch {
            return .failed(.connect(.init(error)))
        }
        run += 1
        (state, sent) = (.connecting, 0)
        reader.reset()
        // On a machine near by the connection stands already, and the request can go at once.
        if let request = plan.request {
            let result = send(request.span)
            if let code = result.failure {
                cancel()
                return .failed(.connect(.init(SystemError(call: "connect", code: code))))
            }
            sent = result.count
            if sent > 0 { state = sent == request.count ? .receiving : .sending }
        }
        watch(state == .receiving ? .readable : [.readable, .writable])
        self.timeout = timeout
        deadline = loop.now + timeout
        armTimer(at: deadline)
        return nil
    }

    /// Ends without an outcome.
    public func cancel() {
        guard state != .idle else { return }
        release()
        close()
    }

    // MARK: Called by the loop

    public override func ready(_ readiness: Readiness) { advance(readiness) }

    public override func timerFired() {
        let run = self.run
        if state == .receiving { receiveAll() }
        guard state != .idle, run == self.run else { return }
        let lateness = loop.now - deadline
        if lateness > Self.latenessMax {
            deadline = loop.now + min(lateness, timeout)
            armTimer(at: deadline)
        } else {
            finish(.failed(.timeout(phase)))
        }
    }

    private var phase: HTTPClientPhase {
        switch state {
        case .idle, .connecting: .connecting
        case .sending: .sending
        case .receiving: reader.phase
        }
    }

    private func advance(_ readiness: Readiness) {
        if state == .connecting {
            guard !readiness.isDisjoint(with: [.writable, .failed, .hungUp]) else { return }
            let code = takeError()
            if code != 0 {
                let error = SystemError(call: "connect", code: code)
                return finish(.failed(.connect(.init(error))))
            }
            if plan.request == nil { return finish(.connected) }
            state = .sending
        }
        if state == .sending { sendRest() }
        if state == .receiving { receiveAll() }
    }

    private func sendRest() {
        guard let request = plan.request else { return }
        while sent < request.count {
            let result = send(request.span.extracting(droppingFirst: sent))
            // The answer may still be there to read: what the target said before it closed counts.
            if result.failure != nil { break }
            if result.isBlocked { return }
            sent += result.count
        }
        state = .receiving
    }

    private func receiveAll() {
        let buffer = self.buffer ?? loop.buffers.takeStandard()
        self.buffer = buffer
        let run = self.run
        while state == .receiving, run == self.run {
            if start == end, reader.phase == .receiving { (start, end) = (0, 0) }
            guard end < buffer.capacity else { return finish(.failed(.malformed(.headTooLarge))) }
            let result = receive(into: buffer, end, buffer.capacity)
            if result.isBlocked { break }
            if result.failure != nil || result.isEndOfStream {
                let isWhole = result.isEndOfStream && reader.endsWithConnection
                return finish(isWhole ? .response(status: status, body: body) : .failed(.cut(phase)))
            }
            end += result.count
            read(buffer)
        }
        if state == .receiving, run == self.run, end == 0 {
            loop.buffers.release(buffer)
            self.buffer = nil
        }
    }

    private func read(_ buffer: Buffer) {
        while true {
            switch reader.next(buffer.bytes(0, end), position: &start, end: end) {
            case .head:
                status = reader.head.status
                if plan.bodyBytesMax == 0 { return finish(.response(status: status, body: [])) }
            case .piece(let range):
                let room = plan.bodyBytesMax - body.count
                body.append(buffer.bytes(range.start, range.start + min(range.count, room)))
                if body.count == plan.bodyBytesMax { return finish(.response(status: status, body: body)) }
            case .end: return finish(.response(status: status, body: body))
            case .malformed(let reason): return finish(.failed(.malformed(reason)))
            case .needMore:
                if start > 0, reader.phase == .receiving {
                    buffer.move(start, end, to: buffer, at: 0)
                    (start, end) = (0, end - start)
                }
                return
            }
        }
    }

    private func finish(_ outcome: ProbeOutcome) {
        release()
        close()
        onEnd(outcome)
    }

    private func release() {
        if let buffer { loop.buffers.release(buffer) }
        buffer = nil
        (start, end, status, body) = (0, 0, 0, [])
        state = .idle
    }
}
