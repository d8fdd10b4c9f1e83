import Glibc
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseTLS

/// A client and a server over a socket pair on one loop. Sockets do not block and nothing waits: both ends are driven in
/// turn.
final class Pair {
    let loop = EventLoop()
    let engine: TLSEngine
    let serverChannel: Channel
    let clientChannel: Channel
    let server: TLSSession
    let client: TLSSession
    private(set) var serverResult: TLSSession.Progress?
    private(set) var clientResult: TLSSession.Progress?

    init(
        _ serverContext: TLSServerContext, _ clientContext: TLSClientContext, peer: TLSPeer, sendBytes: CInt? = nil
    ) {
        engine = TLSEngine(loop: loop)
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        precondition(unsafe socketpair(AF_UNIX, type, 0, &pair) == 0)
        if let sendBytes {
            for descriptor in pair {
                var bytes = sendBytes
                precondition(unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, 4) == 0)
            }
        }
        (serverChannel, clientChannel) = (Channel(loop: loop), Channel(loop: loop))
        serverChannel.open(FileDescriptor(adopting: pair[0]))
        clientChannel.open(FileDescriptor(adopting: pair[1]))
        server = TLSSession(server: serverContext, engine: engine)
        client = TLSSession(client: clientContext, peer: peer, engine: engine)
    }

    deinit {
        serverChannel.close()
        clientChannel.close()
        server.free()
        client.free()
    }

    /// Drives both until each is done or has failed.
    func handshake() {
        for _ in 0..<1000 {
            if clientResult == nil { clientResult = Self.settled(client.handshake(clientChannel)) }
            if serverResult == nil { serverResult = Self.settled(server.handshake(serverChannel)) }
            if clientResult != nil, serverResult != nil { return }
            // The client's last message waits for company: nothing else is to be said.
            if clientResult != nil { _ = client.flush(clientChannel) }
        }
        Issue.record("the handshake does not end")
    }

    private static func settled(_ progress: TLSSession.Progress) -> TLSSession.Progress? {
        if case .blocked = progress { return nil }
        return progress
    }

    var clientFailure: TLSFailure.Reason? { client.failure?.reason }
    var serverFailure: TLSFailure.Reason? { server.failure?.reason }

    /// Whether both ends are done.
    var isDone: Bool {
        guard case .done? = clientResult, case .done? = serverResult else { return false }
        return true
    }
}

/// One side of a ``Pair``.
struct End {
    let session: TLSSession
    let channel: Channel
}

extension Pair {
    var clientEnd: End { End(session: client, channel: clientChannel) }
    var serverEnd: End { End(session: server, channel: serverChannel) }

    /// Sends `bytes` from one end to the other, in pieces of `pieces` in turn (and of what the kernel takes).
    ///
    /// - Returns: what arrived, and how it ended.
    func transfer(_ bytes: [UInt8], from source: End, to sink: End, pieces: [Int], room: Int = 8192) -> [UInt8] {
        let (out, input) = (loop.takeLargeBuffer(), loop.takeLargeBuffer())
        defer {
            loop.releaseBuffer(out)
            loop.releaseBuffer(input)
        }
        var arrived: [UInt8] = []
        var at = 0
        var turn = 0
        for _ in 0..<200_000 where arrived.count < bytes.count {
            if at < bytes.count, !source.session.hasUnsent {
                let count = min(pieces[turn % pieces.count], bytes.count - at, out.capacity)
                out.write(bytes.span.extracting(at..<at + count), at: 0)
                let sent = source.session.send(source.channel, out, 0, count)
                if sent.failure != nil {
                    Issue.record("send: \(source.session.failure?.description ?? "")")
                    return arrived
                }
                // Less than all is the kernel's refusal and nothing else.
                #expect(sent.count == count || source.session.hasUnsent)
                at += sent.count
                turn += 1
            } else if source.session.hasUnsent {
                #expect(source.session.flush(source.channel) != .failed)
            }
            while true {
                let received = sink.session.receive(sink.channel, into: input, 0, room)
                if received.failure != nil || received.isEndOfStream {
                    Issue.record("receive: \(received) \(sink.session.failure?.description ?? "")")
                    return arrived
                }
                unsafe input.bytes(0, received.count).withUnsafeBufferPointer { unsafe arrived.append(contentsOf: $0) }
                if !sink.session.mayHaveMore { break }
            }
        }
        return arrived
    }
}
