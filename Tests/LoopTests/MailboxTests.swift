import PoisePlatform
import Testing

@testable import PoiseLoop

@Suite("The mailbox of a loop")
struct MailboxTests {
    /// Written by letters, so on one thread only.
    private final class Received: @unchecked Sendable {
        var perSender: [[Int]]
        var count = 0
        init(senders: Int) { perSender = Array(repeating: [], count: senders) }
    }

    @Test("loses nothing of several senders and keeps the order of each")
    func severalSenders() throws {
        let (senders, letters) = (4, 5000)
        let received = Received(senders: senders)
        let loop = EventLoop()
        let mailbox = loop.mailbox
        let ending = Lock(false)
        mailbox.post { ending.withLock { $0 = false } }
        let threads = try (0..<senders).map { sender in
            try Thread.start(name: "sender") {
                for number in 0..<letters {
                    mailbox.post {
                        received.perSender[sender].append(number)
                        received.count += 1
                    }
                }
            }
        }
        loop.endOfWakeUp = { if received.count == senders * letters { loop.stop() } }
        loop.run()
        for thread in threads { thread.join() }
        #expect(received.perSender == Array(repeating: Array(0..<letters), count: senders))
    }

    @Test("a letter that posts another is answered in a later wake-up, and one to an ended loop is refused")
    func postingFromLetters() {
        let loop = EventLoop()
        let mailbox = loop.mailbox
        let order = Lock<[String]>([])
        mailbox.post {
            order.withLock { $0.append("first") }
            mailbox.post { order.withLock { $0.append("second") } }
        }
        loop.wakeUp()
        #expect(order.withLock { $0 } == ["first"])
        loop.wakeUp()
        #expect(order.withLock { $0 } == ["first", "second"])
        loop.stop()
        loop.run()
        #expect(!mailbox.post {})
    }

    @Test("what waits when the loop ends is released, not kept")
    func releasesOnClose() {
        final class Token: Sendable {}
        let loop = EventLoop()
        weak var witness: Token?
        do {
            let token = Token()
            witness = token
            loop.mailbox.post { _ = token }
        }
        #expect(witness != nil)
        loop.stop()
        loop.run()
        #expect(witness == nil)
    }
}
