import Glibc
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseLoop

/// Repeats exactly for one seed: splitmix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A system in which nothing happens: for what a loop does with time alone.
final class StillSystem: SimulatedSystem {
    func receive(_ descriptor: CInt, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> IOResult { .wouldBlock }
    func send(_ descriptor: CInt, _ bytes: UnsafeRawPointer, _ count: Int) -> IOResult { .wouldBlock }
    func watch(_ descriptor: CInt, _ interest: Readiness, token: UInt64, again: Bool) {}
    func close(_ descriptor: CInt) {}
    func resetOnClose(_ descriptor: CInt) {}
    func shutdownWrite(_ descriptor: CInt) {}
    func takeError(_ descriptor: CInt) -> CInt { 0 }
    func connect(to address: SocketAddress) throws(SystemError) -> CInt {
        throw SystemError(call: "connect", code: 111)
    }
    func accept(_ descriptor: CInt) -> Accepted? { nil }
    func listen(on address: SocketAddress) throws(SystemError) -> CInt { throw SystemError(call: "bind", code: 98) }
}

extension EventLoop {
    /// Moves a simulated clock on and runs what is due.
    func advance(to time: MonotonicTime) {
        beCurrent {
            setClock(time)
            finishWakeUp(hasMail: false)
        }
    }
}

/// A channel that tells a test what it is called with.
final class TestChannel: Channel {
    var onReady: (Readiness) -> Void = { _ in }
    var onTimer: () -> Void = {}
    override func ready(_ readiness: Readiness) { onReady(readiness) }
    override func timerFired() { onTimer() }
}

/// Two connected, non-blocking unix stream sockets.
struct SocketPair: ~Copyable {
    let ours: FileDescriptor
    let theirs: FileDescriptor

    init() {
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        precondition(unsafe socketpair(AF_UNIX, type, 0, &pair) == 0)
        ours = FileDescriptor(adopting: pair[0])
        theirs = FileDescriptor(adopting: pair[1])
    }

    /// Opens `channel` on our end and hands out the other.
    consuming func connect(_ channel: Channel) -> FileDescriptor {
        channel.open(ours)
        return theirs
    }
}

extension Channel {
    /// Opens on one end of a socket pair.
    func openPair() -> FileDescriptor {
        SocketPair().connect(self)
    }
}
