import Foundation
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

/// Paths that begin with `/hung` have no answer until ``release()``.
private final class SlowDisk: Sendable {
    private let gate = NSCondition()
    private let isOpen = Lock(false)
    let asked = Lock<[String]>([])

    func see(_ path: String) -> FileState {
        asked.withLock { $0.append(path) }
        if path.hasPrefix("/hung") {
            gate.lock()
            while !isOpen.withLock({ $0 }) { gate.wait() }
            gate.unlock()
        }
        return .exists
    }

    func release() {
        gate.lock()
        isOpen.withLock { $0 = true }
        gate.broadcast()
        gate.unlock()
    }

    func count(_ path: String) -> Int { asked.withLock { $0.count { $0 == path } } }
}

private final class Asker {}

@Suite("Looking at files of a file system that may hang")
struct FileDeskTests {
    @Test("a path that hangs is asked for once, keeps nobody else waiting, and is told of when it answers after all")
    func hangs() {
        let (loop, disk) = (EventLoop(), SlowDisk())
        let desk = FileDesk(loop: loop) { disk.see($0) }
        let (stuck, askers) = (Asker(), (0..<40).map { _ in Asker() })
        var told: [String] = []
        for _ in 0..<5 { desk.look(at: "/hung", for: stuck) { _ in told.append("/hung") } }
        for (index, asker) in askers.enumerated() {
            desk.look(at: "/good\(index)", for: asker) { state in
                #expect(state == .exists)
                told.append("/good\(index)")
                if told.count == askers.count { loop.stop() }
            }
        }
        loop.run()
        #expect(told.count == askers.count && !told.contains("/hung"))
        #expect(disk.count("/hung") == 1)
        disk.release()
    }

    @Test("with as many paths hanging as there are threads nobody hears anything, and all do once they answer")
    func exhausted() {
        let (loop, disk) = (EventLoop(), SlowDisk())
        let desk = FileDesk(loop: loop) { disk.see($0) }
        let askers = (0...FileDesk.threadsMax).map { _ in Asker() }
        var told: [Int] = []
        for (index, asker) in askers.enumerated() {
            let path = index < FileDesk.threadsMax ? "/hung\(index)" : "/good"
            desk.look(at: path, for: asker) { _ in
                told.append(index)
                if told.count == askers.count { loop.stop() }
            }
        }
        while disk.asked.withLock({ $0.count }) < FileDesk.threadsMax { sched_yield() }
        #expect(disk.count("/good") == 0)
        disk.release()
        loop.run()
        #expect(told.sorted() == Array(askers.indices))
        #expect(disk.count("/good") == 1)
    }

    @Test(
        "what a look finds",
        arguments: [("/", FileState.exists), ("/nowhere/at/all", .missing), ("/dev/null/x", .missing)])
    func finds(path: String, state: FileState) { #expect(FileDesk.look(path) == state) }
}
