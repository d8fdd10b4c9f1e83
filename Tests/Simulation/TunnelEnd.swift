import PoiseModel
import PoiseSimulation

/// One end of a tunnel, the client's or the target's: sends its part with pauses, then half-closes, and checks each byte
/// that comes from the other end.
final class TunnelEnd {
    private let name: String
    private unowned let world: World
    private let stream: ScriptedStream
    private let expected: TunnelPlan.Part
    private var sending: TunnelPlan.Part
    private var received = 0
    private(set) var hasEnded = false
    /// Called when the socket has taken everything.
    var onSent: (() -> Void)?

    init(_ name: String, _ stream: ScriptedStream, send: TunnelPlan.Part, expect: TunnelPlan.Part, world: World) {
        (self.name, self.stream, self.world) = (name, stream, world)
        (sending, expected) = (send, expect)
    }

    /// Its first bytes, where they go before the tunnel stands.
    func sendEarly() {
        let piece = world.random.size(upTo: sending.count)
        send(piece)
        stream.pump()
    }

    /// The tunnel stands.
    func begin() {
        while sending.count > 0 {
            send(min(sending.count, max(1, world.random.size(upTo: sending.count))))
            if world.random.chance(percent: 20) { stream.add(.pause(world.pause())) }
        }
        // Or it stays silent until the other end has enough, or Poise.
        if world.scenario.isPerfect || world.random.chance(percent: 80) { stream.add(.finish) }
        stream.add(.call { [self] in onSent?() })
        stream.pump()
    }

    private func send(_ count: Int) {
        stream.add(.send(Bytes.body(at: sending.offset, count)))
        sending = (sending.offset + count, sending.count - count)
    }

    func arrived(_ bytes: ArraySlice<UInt8>) {
        guard received + bytes.count <= expected.count, Bytes.matches(bytes, at: expected.offset + received) else {
            return world.fail("the tunnel brought \(name) wrong bytes behind byte \(received)")
        }
        received += bytes.count
    }

    /// The other end has finished. A tunnel knows no other end than that of the connection, so a part cannot be told
    /// from the whole; but where nothing fails it is the whole.
    func ended() {
        guard !hasEnded else { return }
        hasEnded = true
        world.tally.tunneled += 1
        if world.scenario.isPerfect, received < expected.count {
            world.fail("the tunnel brought \(name) \(received) of \(expected.count) bytes")
        }
    }
}
