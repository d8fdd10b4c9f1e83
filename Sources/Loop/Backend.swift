import CPoise
import PoisePlatform

/// What a loop asks of the system. The kernel answers in service, a simulated network in tests.
///
/// A struct with one optional reference and not a protocol: the branch is predicted, and the calls stay direct.
///
/// SAFETY: the kernel, and a simulation alike, touches at most `count` bytes at each pointer and only during the call;
/// ``Channel``, the only caller, checks the range against its buffer.
struct Backend {
    /// -1 in a simulation.
    let epoll: CInt
    let simulation: (any SimulatedSystem)?

    @inline(__always)
    func receive(_ descriptor: CInt, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> IOResult {
        if let simulation { return unsafe simulation.receive(descriptor, bytes, count) }
        while true {
            let result = unsafe poise_recv(descriptor, bytes, count)
            if result != -Int64(Errno.interrupted) { return IOResult(raw: Int(result)) }
        }
    }

    @inline(__always)
    func send(_ descriptor: CInt, _ bytes: UnsafeRawPointer, _ count: Int) -> IOResult {
        if let simulation { return unsafe simulation.send(descriptor, bytes, count) }
        while true {
            let result = unsafe poise_send(descriptor, bytes, count)
            if result != -Int64(Errno.interrupted) { return IOResult(raw: Int(result)) }
        }
    }

    func send2(
        _ descriptor: CInt, _ a: UnsafeRawPointer, _ aCount: Int, _ b: UnsafeRawPointer, _ bCount: Int
    ) -> IOResult {
        if let simulation {
            let first = unsafe simulation.send(descriptor, a, aCount)
            guard first.count == aCount else { return first }
            let second = unsafe simulation.send(descriptor, b, bCount)
            return IOResult(raw: aCount + second.count)
        }
        while true {
            let result = unsafe poise_send2(descriptor, a, aCount, b, bCount)
            if result != -Int64(Errno.interrupted) { return IOResult(raw: Int(result)) }
        }
    }

    func watch(_ descriptor: CInt, _ interest: Readiness, token: UInt64, again: Bool) {
        if let simulation { return simulation.watch(descriptor, interest, token: token, again: again) }
        let result =
            again
            ? poise_epoll_modify(epoll, descriptor, interest.rawValue, token)
            : poise_epoll_add(epoll, descriptor, interest.rawValue, token)
        precondition(result == 0, "epoll_ctl refused a descriptor of ours")
    }

    func close(_ descriptor: CInt) {
        if let simulation { return simulation.close(descriptor) }
        _ = poise_close(descriptor)
    }

    func resetOnClose(_ descriptor: CInt) {
        if let simulation { return simulation.resetOnClose(descriptor) }
        _ = poise_set_linger_reset(descriptor)
    }

    func shutdownWrite(_ descriptor: CInt) {
        if let simulation { return simulation.shutdownWrite(descriptor) }
        _ = poise_shutdown_write(descriptor)
    }

    func takeError(_ descriptor: CInt) -> CInt {
        if let simulation { return simulation.takeError(descriptor) }
        return poise_socket_error(descriptor)
    }
}

/// A made-up operating system for tests: descriptors are numbers of its own, and nothing happens by itself.
public protocol SimulatedSystem: AnyObject {
    func receive(_ descriptor: CInt, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> IOResult
    func send(_ descriptor: CInt, _ bytes: UnsafeRawPointer, _ count: Int) -> IOResult
    /// - Parameter again: EPOLL_CTL_MOD, and not ADD: exactly when the descriptor is registered already.
    func watch(_ descriptor: CInt, _ interest: Readiness, token: UInt64, again: Bool)
    func close(_ descriptor: CInt)
    func resetOnClose(_ descriptor: CInt)
    func shutdownWrite(_ descriptor: CInt)
    func takeError(_ descriptor: CInt) -> CInt
    func connect(to address: SocketAddress) throws(SystemError) -> CInt
    func accept(_ descriptor: CInt) -> Accepted?
    func listen(on address: SocketAddress) throws(SystemError) -> CInt
}
