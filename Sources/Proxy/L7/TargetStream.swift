import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoiseTLS

/// The target's end of an exchange: where the request goes and the answer comes from.
///
/// Abstract: an HTTP/1 connection, or one stream of an HTTP/2 connection.
class TargetStream: Stream {
    final let pool: TargetPool
    /// `nil` while nobody asks.
    final var exchange: Exchange?
    /// The connection has carried bytes: it stands for certain.
    final var isConnected = false
    /// Its connection has served an exchange before: a failure may be that the target closed it meanwhile.
    final var isReused = false
    /// The target says that it has not processed anything of this: it may be sent again, whatever it is.
    final var wasRefused = false
    /// The target gave the whole connection up for an error, and for this request as it seems.
    final var isBlamed = false
    /// The target gave the whole connection up for an error.
    final var brokeConnection = false
    /// The target has said that it takes no head of this size, and was not sent it.
    final var headIsTooLarge = false
    /// What is wrong with an answer that never became one.
    final var answerRefusal: Refusal?
    /// Why the TLS handshake failed, also where that is told behind it; `nil` where it did not.
    final var handshakeFailure: TLSFailure?
    /// From `Keep-Alive: timeout=N` of the last answer, less a second; `nil` without.
    final var announcedIdle: Nanoseconds?

    init(pool: TargetPool, worker: Worker, framesMessages: Bool = false) {
        self.pool = pool
        super.init(worker: worker, framesMessages: framesMessages)
    }

    final func markConnected() { isConnected = true }

    /// The exchange is over.
    ///
    /// - Parameter reusable: request and answer are complete, and the target does not close behind them.
    func detach(reusable: Bool) { preconditionFailure("abstract") }

    /// The exchange gives up, or the stream is of no use.
    func end(reset: Bool = false) { preconditionFailure("abstract") }

    /// Whether what broke here is one more failure of the target. To be asked once.
    func takeFailure() -> Bool { true }

    /// The errno of a connect that failed, 0 for none.
    func connectFailure() -> CInt { failure != 0 ? failure : takeError() }
}
