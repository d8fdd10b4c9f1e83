import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// After 101: bytes in both directions.
extension Exchange {
    func beginTunnel(_ target: TargetStream) {
        status = 101
        answeredAt = now
        answerBegan = true
        keepAlive = false
        phase = .tunnel
        listener.counters.add(ListenerCounter.tunnels)
        target.pool.succeeded()
        stageAnswerHead(target.input!, isFinal: false)
        target.inputStart = target.inputCursor
        requestBody.begin(.untilClose, sink: .asIs)
        requestBody.keepsInput = false
        requestBody.bytesMax = .max
        answerBody.begin(.untilClose, sink: .asIs)
        answerBody.keepsInput = false
        if pinnedHead == nil { pinnedHead = client.continueInput(large: false) }
        target.cancelTimer()
        clientWait = .tunnel
        lastActivity = now
        client.armTimer(at: now + listener.compiled.settings.timeouts.upgradedIdle)
        (requestIsSent, tunnelAnswerEnded) = (false, false)
        client.watchWritable()
        pumpTunnel()
    }

    /// Both directions; the end of one is passed on as FIN, and the tunnel ends with both. RFC 9110 §9.3.6
    func pumpTunnel() {
        guard let target else { return }
        let before = requestBody.bytes + answerBody.bytes
        if !requestIsSent {
            switch requestBody.pump(from: client, to: target) {
            case .complete:
                requestIsSent = true
                target.shutdownWrite()
            case .yield: client.again()
            case .needInput, .sinkBlocked: break
            default: return abandon(.tunnelEnded)
            }
        }
        if !tunnelAnswerEnded {
            switch answerBody.pump(from: target, to: client) {
            case .complete:
                tunnelAnswerEnded = true
                client.shutdownWrite()
            case .yield: target.again()
            case .needInput, .sinkBlocked: break
            default: return abandon(.tunnelEnded)
            }
        }
        if requestBody.bytes + answerBody.bytes > before { lastActivity = now }
        if requestIsSent, tunnelAnswerEnded { abandon(.tunnelEnded) }
    }
}
