import PoiseLoop
import PoiseModel
import PoisePlatform

/// A target that answers every connection with the same bytes, or accepts and says nothing.
final class ScriptedTarget: Channel {
    private final class Peer: Channel {
        private let answer: [UInt8]?
        private let ended: (CInt) -> Void
        init(
            _ socket: consuming FileDescriptor, _ answer: [UInt8]?, loop: EventLoop, ended: @escaping (CInt) -> Void
        ) {
            (self.answer, self.ended) = (answer, ended)
            super.init(loop: loop)
            open(socket)
            watch(.readable)
        }

        override func ready(_ readiness: Readiness) {
            let buffer = loop.buffers.takeStandard()
            defer { loop.buffers.release(buffer) }
            let result = receive(into: buffer, 0, buffer.capacity)
            if result.isEndOfStream || result.failure != nil {
                ended(result.failure ?? 0)
                return close()
            }
            guard let answer, result.count > 0 else { return }
            if !answer.isEmpty { _ = send(answer.span) }
            shutdownWrite()
        }
    }

    private let answer: [UInt8]?
    private(set) var port: UInt16 = 0
    /// How its connections ended, as the target saw it: 0 for FIN, or an errno.
    private(set) var ends: [CInt] = []

    init(_ answer: String?, loop: EventLoop) throws {
        self.answer = answer.map { Array($0.utf8) }
        super.init(loop: loop)
        port = try listenOnLoopback()
    }

    override func ready(_ readiness: Readiness) {
        while case .accepted(let accepted) = loop.accept(from: self) {
            _ = Peer(FileDescriptor(adopting: accepted.descriptor), answer, loop: loop) { [unowned self] code in
                ends.append(code)
            }
        }
    }
}

/// Answers as often as it is asked, and closes behind every third answer.
final class KeepingTarget: Channel {
    private let answer: [UInt8]
    private(set) var port: UInt16 = 0
    private(set) var connections = 0
    private(set) var requests = 0

    init(_ answer: String, loop: EventLoop) throws {
        self.answer = Array(answer.utf8)
        super.init(loop: loop)
        port = try listenOnLoopback()
    }

    private final class Peer: Channel {
        private unowned let target: KeepingTarget
        private var answers = 0

        init(_ socket: consuming FileDescriptor, _ target: KeepingTarget) {
            self.target = target
            super.init(loop: target.loop)
            open(socket)
            watch(.readable)
        }

        override func ready(_ readiness: Readiness) {
            let buffer = loop.buffers.takeStandard()
            defer { loop.buffers.release(buffer) }
            let result = receive(into: buffer, 0, buffer.capacity)
            guard result.count > 0 else { return result.isBlocked ? () : close() }
            target.requests += 1
            answers += 1
            let answer = target.answer
            _ = send(answer.span)
            if answers == 3 { close() }
        }
    }

    override func ready(_ readiness: Readiness) {
        while case .accepted(let accepted) = loop.accept(from: self) {
            connections += 1
            _ = Peer(FileDescriptor(adopting: accepted.descriptor), self)
        }
    }
}

extension Channel {
    /// - Returns: the port at 127.0.0.1 that it takes connections at now.
    fileprivate func listenOnLoopback() throws -> UInt16 {
        let socket = try Sockets.listen(on: .ip(IPAddress(v4: 0x7F00_0001), port: 0), sharesPort: false)
        let port = Sockets.localAddress(of: socket.number)!.port
        open(socket)
        watch(.readable)
        return port
    }
}
