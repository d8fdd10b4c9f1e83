import PoiseLoop
import PoiseModel
import PoiseRouting
import PoiseTLS

/// The client's end of an exchange: where the request comes from and the answer goes.
///
/// Abstract: an HTTP/1 connection, or one stream of an HTTP/2 connection.
class ClientStream: Stream {
    final let listener: ListenerRuntime
    /// The peer of the socket, or whom the PROXY protocol names; `nil` for a unix socket.
    final var address: IPAddress?
    final var port: UInt16
    /// The address as text, for X-Forwarded-For.
    final var addressText = ClientAddressText()
    /// It speaks for others: its forwarding fields are believed.
    final var isTrusted = false
    /// The port that the client connected to.
    final var localPort: UInt16
    /// What a PROXY header said; `nil` without one.
    final var announced: AnnouncedClient?
    final var scheme: URLScheme { listener.scheme }

    init(
        listener: ListenerRuntime, address: IPAddress?, port: UInt16, localPort: UInt16, framesMessages: Bool = false
    ) {
        self.listener = listener
        (self.address, self.port, self.localPort) = (address, port, localPort)
        super.init(worker: listener.worker, framesMessages: framesMessages)
    }

    /// The client's side broke, so that nobody waits for an answer.
    final var peerFailed: Bool { failure != 0 }

    /// What the connection is secured by; `nil` for plain text.
    var security: TLSSession? { tls }

    /// The connection that it is, or is a part of.
    var carrier: ClientConnection { preconditionFailure("abstract") }

    /// Whether another request may follow on this connection.
    var mayContinue: Bool { preconditionFailure("abstract") }

    /// The answer is with the kernel and the request was read to its end.
    ///
    /// - Parameter requestIsRead: false when some of the request's body may still come.
    func exchangeEnded(keepAlive: Bool, requestIsRead: Bool) { preconditionFailure("abstract") }

    /// The exchange had to cut: nothing more can be said on this stream.
    func exchangeAbandoned(reset: Bool) { preconditionFailure("abstract") }
}
