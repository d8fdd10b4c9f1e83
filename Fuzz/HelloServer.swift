import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// The servers that hellos are sent to: five ALPN policies under three security policies, over the same certificates and
/// ticket keys.
enum HelloServer {
    /// By what the first byte of an input says.
    static func context(for byte: UInt8) -> TLSServerContext {
        contexts[Int(byte >> 3 & 3) % policies.count][Int(byte & 7) % ALPNPolicy.allCases.count]
    }

    static func alpn(for byte: UInt8) -> ALPNPolicy { ALPNPolicy.allCases[Int(byte & 7) % ALPNPolicy.allCases.count] }

    private static let policies: [SecurityPolicy] = [.intermediate, .modern, .old]

    private static let contexts: [[TLSServerContext]] = {
        let store = CertificateStore(
            HelloCertificates.all.map { text in
                let output = CertificateLoader.load(.init(certificate: Array(text.utf8)), now: 1_800_000_000)
                guard let certificate = output.certificate else { preconditionFailure("\(output.problems)") }
                return certificate
            })
        // The seeds hold tickets that were sealed with this key.
        guard let tickets = TicketKeys(file: [UInt8](repeating: 0x6B, count: 80)) else { preconditionFailure() }
        return policies.map { policy in
            ALPNPolicy.allCases.map { alpn in
                do throws(TLSSetupError) {
                    return try TLSServerContext(
                        policy: policy, alpn: alpn, certificates: store, tickets: tickets, scope: "l")
                } catch { preconditionFailure("\(error)") }
            }
        }
    }()
}

/// A socket whose client has written all it will: each piece is one receive, and the kernel has nothing between two.
///
/// SAFETY: bytes are moved within the counts that the loop gives.
final class HelloSystem: SimulatedSystem {
    /// Not yet received; a piece that a receive does not take whole stays at hand.
    private var bytes: ArraySlice<UInt8>
    private var piece = 0
    private var lengths: Lengths
    private let sendMax: Int
    private var refusesNext = false
    private(set) var hasRefused = false
    var hasEnded = false
    private(set) var sent: [UInt8] = []

    /// - Parameters:
    ///   - seed: 0 for one piece.
    ///   - sendMax: what the kernel takes at once; after a short count it refuses once.
    init(_ bytes: [UInt8], seed: UInt8, sendMax: Int) {
        (self.bytes, self.sendMax) = (bytes[...], sendMax)
        lengths = Lengths(state: seed)
        arrive()
    }

    /// Nothing more will come.
    var isDrained: Bool { bytes.isEmpty }

    /// The next piece is there to be received.
    func arrive() { if piece == 0 { piece = min(lengths.next(), bytes.count) } }

    func receive(_ descriptor: CInt, _ room: UnsafeMutableRawPointer, _ count: Int) -> IOResult {
        guard piece > 0 else { return hasEnded ? .endOfStream : .wouldBlock }
        let taken = min(piece, count)
        unsafe bytes.withUnsafeBytes { unsafe room.copyMemory(from: $0.baseAddress!, byteCount: taken) }
        bytes.removeFirst(taken)
        piece -= taken
        return .bytes(taken)
    }

    func send(_ descriptor: CInt, _ start: UnsafeRawPointer, _ count: Int) -> IOResult {
        if refusesNext {
            refusesNext = false
            hasRefused = true
            return .wouldBlock
        }
        let taken = min(count, sendMax)
        refusesNext = taken < count
        unsafe sent.append(contentsOf: UnsafeRawBufferPointer(start: start, count: taken))
        return .bytes(taken)
    }

    func watch(_ descriptor: CInt, _ interest: Readiness, token: UInt64, again: Bool) {}
    func close(_ descriptor: CInt) {}
    func resetOnClose(_ descriptor: CInt) {}
    func shutdownWrite(_ descriptor: CInt) {}
    func takeError(_ descriptor: CInt) -> CInt { 0 }
    func connect(to address: SocketAddress) throws(SystemError) -> CInt { preconditionFailure("nobody connects") }
    func accept(_ descriptor: CInt) -> Accepted? { nil }
    func listen(on address: SocketAddress) throws(SystemError) -> CInt { preconditionFailure("nobody listens") }

    /// Small numbers mostly, so that a record's head is cut too.
    private struct Lengths {
        var state: UInt8

        mutating func next() -> Int {
            guard state != 0 else { return .max }
            state = state &* 141 &+ 3
            return state < 160 ? Int(state & 7) + 1 : Int(state) * 4
        }
    }
}
