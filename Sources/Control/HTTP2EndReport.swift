import PoiseModel
import PoiseProxy

/// Says whose HTTP/2 connections Poise ended, and for what: once in a while for each peer and fault, and not more than
/// a few in a minute, however many attack. What was left out is counted; metrics count them all.
final class HTTP2EndReport {
    private struct Key: Hashable {
        let peer: HTTP2End.Peer
        let reason: String
    }

    private let log: (OperationalEvent) -> Void
    /// In this minute.
    private var said: Set<Key> = []
    private var minute = MonotonicTime.zero
    private var leftOut = 0

    private static var span: Nanoseconds { .seconds(60) }
    private static var linesMax: Int { 10 }

    init(_ log: @escaping (OperationalEvent) -> Void) { self.log = log }

    func ended(_ end: HTTP2End, at now: MonotonicTime) {
        if now >= minute + Self.span { (minute, said) = (now, []) }
        leftOut += end.untold
        let key = Key(peer: end.peer, reason: end.fault.name)
        guard said.count < Self.linesMax, said.insert(key).inserted else { return leftOut += 1 }
        var (message, fields): (String, [(name: String, value: String)])
        switch end.peer {
        case .client(let listener, let address):
            message = "an HTTP/2 connection was ended for what its client did"
            fields = [("listener", listener), ("client", address.map { "\($0)" } ?? "unix")]
        case .target(let group, let label):
            message = "an HTTP/2 connection was ended for what its target did"
            fields = [("group", group), ("target", label)]
        }
        fields += [("reason", end.fault.name), ("explanation", "it \(end.fault.words)")]
        if leftOut > 0 { fields.append(("left_out", "\(leftOut)")) }
        leftOut = 0
        log(OperationalEvent(.warning, message, fields))
    }
}
