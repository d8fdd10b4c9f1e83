import PoiseModel
import PoiseSimulation

/// Writes a script's bytes in order, as the socket takes them, with pauses and an end.
final class ScriptedStream {
    enum Step {
        case send(ArraySlice<UInt8>)
        case pause(Nanoseconds)
        case finish
        case close
        case reset
        case call(() -> Void)
    }

    let socket: SimulatedSocket
    private let network: SimulatedNetwork
    private var steps: [Step] = []
    private var first = 0
    private var isPaused = false
    private(set) var isBroken = false
    /// Called when the socket has taken everything.
    var onIdle: (() -> Void)?
    /// All bytes so far were taken by the socket.
    var isIdle: Bool { first == steps.count && !isPaused }

    init(_ socket: SimulatedSocket, _ network: SimulatedNetwork) { (self.socket, self.network) = (socket, network) }

    func add(_ step: Step) { steps.append(step) }
    func send(_ text: String) { steps.append(.send(Array(text.utf8)[...])) }

    /// Drops what was not written yet.
    func clear() { (steps, first) = ([], 0) }

    func pump() {
        while first < steps.count, !isPaused, !isBroken, !socket.isClosed {
            switch steps[first] {
            case .send(let bytes):
                guard let count = socket.write(bytes) else {
                    isBroken = true
                    return
                }
                if count < bytes.count {
                    steps[first] = .send(bytes.dropFirst(count))
                    return
                }
            case .pause(let span):
                isPaused = true
                network.after(span) { [self] in
                    isPaused = false
                    pump()
                }
            case .finish: socket.shutdownWrite()
            case .close: socket.close()
            case .reset: socket.reset()
            case .call(let body):
                // Which may add steps, and pump them.
                first += 1
                body()
                continue
            }
            if first < steps.count { first += 1 }
        }
        if isIdle, !isBroken, !socket.isClosed { onIdle?() }
    }
}
