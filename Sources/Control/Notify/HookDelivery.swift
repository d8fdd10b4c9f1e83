import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTelemetry

/// One hook at work: takes notifications out of its queue and delivers them one after the other.
@ControlActor
final class HookDelivery {
    /// What hooks share.
    struct Tools {
        let loop: EventLoop
        let runner: CommandRunner
        let webhooks: WebhookSender
        /// 64 fresh bits per call.
        let random: () -> UInt64
        let log: (OperationalEvent) -> Void
    }

    private(set) var settings: NotifyHook
    private var name: String
    private let tools: Tools
    private var queue: DeliveryQueue
    private let timer: LoopTimer
    private var run: CommandRun?
    private var task: Task<Void, Never>?
    /// Of the try under way: the result of an earlier one that was cut off is not taken for it.
    private var tryNumber = 0
    private var isStopped = false
    /// Notifications are being dropped: told once per time that the queue is full.
    private var isOverflowing = false

    init(_ settings: NotifyHook, name: String, tools: Tools) {
        (self.settings, self.name, self.tools) = (settings, name, tools)
        queue = DeliveryQueue(policy: .init(settings))
        timer = LoopTimer(loop: tools.loop)
        timer.fired = { [unowned self] in step() }
    }

    /// What waits goes where the new settings say; a try under way goes on as it was begun.
    func adopt(_ settings: NotifyHook, name: String) {
        (self.settings, self.name) = (settings, name)
        queue.policy = .init(settings)
    }

    func add(_ notification: Notification) {
        if let dropped = queue.add(notification) {
            if !isOverflowing {
                tools.log(
                    OperationalEvent(
                        .warning, "notifications are dropped: the hook is too slow",
                        fields(dropped) + [("waiting", "\(queue.count)")]))
            }
            isOverflowing = true
        }
        step()
    }

    /// Why a hook tells nothing any more.
    enum Stop: String {
        case hookGone = "notifications are dropped: their hook is gone"
        case poiseEnds = "notifications are dropped: Poise ends"
    }

    /// Ends what is under way; nothing is delivered any more.
    func stop(_ stop: Stop) {
        isStopped = true
        if queue.count > 0 {
            tools.log(
                OperationalEvent(
                    .warning, stop.rawValue,
                    [("hook", name), ("notifications", "\(queue.count)")]))
        }
        timer.end()
        run?.cancel()
        task?.cancel()
    }

    var facts: Overview.HookFacts {
        Overview.HookFacts(
            name: name, delivered: queue.delivered, failed: queue.failed, dropped: queue.dropped,
            retried: queue.retried, waiting: queue.count)
    }

    private func step() {
        guard !isStopped else { return }
        switch queue.next(at: tools.loop.now) {
        case .none: break
        case .wait(let time): timer.set(time)
        case .deliver(let notification, _):
            tryNumber += 1
            deliver(notification, tryNumber)
        }
    }

    private func deliver(_ notification: Notification, _ number: Int) {
        if settings.webhook != nil {
            task = ControlActor.shared.executor.start { [self] in await post(notification, number) }
            return
        }
        let timeout = settings.timeout
        let command = Command(settings.command, environment: notification.environment, timeout: timeout)
        run = tools.runner.run(command) { [weak self] result in
            let line = result.firstLine
            let reason = result.reason(timeout: timeout) + (line.isEmpty ? "" : ": \(line)")
            self?.ended(result.succeeded ? .delivered : .failed(reason), number)
        }
    }

    private func post(_ notification: Notification, _ number: Int) async {
        ended(await tools.webhooks.send(notification, by: settings), number)
    }

    private func ended(_ outcome: DeliveryQueue.Outcome, _ number: Int) {
        guard !isStopped, number == tryNumber else { return }
        (run, task) = (nil, nil)
        if let loss = queue.ended(outcome, at: tools.loop.now, random: tools.random()) {
            tools.log(
                OperationalEvent(
                    .warning, "a notification was not delivered",
                    fields(loss.notification) + [("error", loss.reason), ("tries", "\(loss.tries)")]))
        }
        if isOverflowing, queue.count < queue.policy.lengthMax / 2 {
            isOverflowing = false
            tools.log(
                OperationalEvent(
                    .info, "the hook keeps up again", [("hook", name), ("dropped so far", "\(queue.dropped)")]))
        }
        step()
    }

    private func fields(_ notification: Notification) -> [(name: String, value: String)] {
        [("hook", name), ("event", notification.event.rawValue), ("group", notification.group)]
            + (notification.target.map { [("target", $0)] } ?? []) + [("id", notification.id)]
    }
}

extension DeliveryQueue.Policy {
    init(_ settings: NotifyHook) { self.init(retries: settings.retries, backoff: settings.backoff) }
}
