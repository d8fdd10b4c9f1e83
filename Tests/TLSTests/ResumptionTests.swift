import PoiseLoop
import PoiseModel
import Testing

@testable import PoiseTLS

@Suite("Session tickets")
struct ResumptionTests {
    typealias Sessions = SessionTests

    /// One connection with `slot` that exchanges a byte, so that tickets arrive.
    private func connect(_ server: TLSServerContext, _ client: TLSClientContext, _ slot: ResumptionSlot) -> Pair {
        let peer = TLSPeer(serverName: "shop.test", expectedName: .name("shop.test"), resumption: slot)
        let pair = Pair(server, client, peer: peer)
        pair.handshake()
        #expect(pair.isDone)
        #expect(pair.transfer([1], from: pair.clientEnd, to: pair.serverEnd, pieces: [1]) == [1])
        #expect(pair.transfer([2], from: pair.serverEnd, to: pair.clientEnd, pieces: [1]) == [2])
        #expect(pair.server.wasResumed == pair.client.wasResumed)
        return pair
    }

    @Test(
        "resume what the same keys sealed, again and again, also under a renewed certificate",
        arguments: [SecurityPolicy.Version.tls12, .tls13])
    func resumes(version: SecurityPolicy.Version) throws {
        let (keys, slot) = (TicketKeys(), ResumptionSlot())
        let client = try Sessions.client()
        let server = try Sessions.server(Sessions.policy(version), tickets: keys)
        #expect(!connect(server, client, slot).server.wasResumed)
        #expect(connect(server, client, slot).server.wasResumed)
        #expect(connect(server, client, slot).server.wasResumed)
        let renewed = try Sessions.server(
            Sessions.policy(version), certificates: [Sessions.authority.load("DNS:shop.test")], tickets: keys)
        #expect(connect(renewed, client, slot).server.wasResumed)
    }

    @Test(
        "shake hands anew under other keys, another listener or other authorities",
        arguments: [SecurityPolicy.Version.tls12, .tls13])
    func refuses(version: SecurityPolicy.Version) throws {
        let (keys, client) = (TicketKeys(), try Sessions.client())
        let server = try Sessions.server(Sessions.policy(version), tickets: keys)
        let others = [
            try Sessions.server(Sessions.policy(version), tickets: TicketKeys()),
            try Sessions.server(Sessions.policy(version), tickets: keys, scope: "other"),
            try Sessions.server(Sessions.policy(version), alpn: .http1Only, tickets: keys),
        ]
        for other in others {
            let slot = ResumptionSlot()
            _ = connect(server, client, slot)
            #expect(!connect(other, client, slot).server.wasResumed)
        }
        let slot = ResumptionSlot()
        _ = connect(server, client, slot)
        #expect(!connect(server, try Sessions.client(), slot).server.wasResumed)
    }

    @Test("keys of our own seal for 12 hours and open for a day more")
    func rotation() throws {
        let keys = TicketKeys()
        let start = MonotonicTime(nanoseconds: 5)
        let first = try #require(keys.sealing(at: start))
        let late = start + TicketKeys.period
        #expect(keys.sealing(at: late + .seconds(-1))?.name == first.name)
        let second = try #require(keys.sealing(at: late))
        #expect(second.name != first.name)
        func opens(_ key: TicketKeys.Key, at time: MonotonicTime) -> Bool? {
            unsafe key.name.withUnsafeBufferPointer { unsafe keys.opening($0, at: time)?.isCurrent }
        }
        #expect(opens(first, at: late) == false && opens(second, at: late) == true)
        #expect(opens(first, at: late + TicketKeys.kept + .seconds(-1)) == false)
        #expect(opens(first, at: late + TicketKeys.kept) == nil)
        // Forgotten, and not only refused, once the next is drawn.
        _ = keys.sealing(at: late + TicketKeys.kept + .seconds(1))
        #expect(opens(first, at: start) == nil)
    }

    @Test("keys of a file: the first seals, all open, whole records of 48 or 80 bytes", arguments: [48, 80])
    func files(size: Int) throws {
        let (one, two) = ((0..<size).map { UInt8($0) }, (0..<size).map { UInt8($0 + 100) })
        let keys = try #require(TicketKeys(file: one + two))
        #expect(keys.sealing(at: .zero)?.name == Array(one[..<16]))
        #expect(keys.sealing(at: .zero + .seconds(1_000_000))?.name == Array(one[..<16]))
        #expect(TicketKeys(file: []) == nil && TicketKeys(file: Array(one.dropLast())) == nil)
        // No more than 16, and none that could be of the other size: five of 48 bytes are three of 80.
        let most = Array(repeating: one, count: 16).flatMap(\.self)
        #expect(TicketKeys(file: most) != nil && TicketKeys(file: most + one) == nil)
        for count in 1...16 {
            let isAmbiguous = size == 48 ? [5, 10, 15].contains(count) : [3, 6, 9].contains(count)
            let keys = TicketKeys(file: Array(most[..<(count * size)]))
            #expect((keys == nil) == isAmbiguous, "\(count)")
            #expect((TicketKeyRecords.fault(inFileOf: count * size) != nil) == isAmbiguous)
        }
        // Another process, with the keys turned around, still resumes.
        for version in [SecurityPolicy.Version.tls12, .tls13] {
            let (slot, client) = (ResumptionSlot(), try Sessions.client())
            let other = try #require(TicketKeys(file: two + one))
            _ = connect(try Sessions.server(Sessions.policy(version), tickets: keys), client, slot)
            #expect(
                connect(try Sessions.server(Sessions.policy(version), tickets: other), client, slot).server.wasResumed)
        }
    }
}
