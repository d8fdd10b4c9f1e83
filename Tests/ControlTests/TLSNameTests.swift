import PoiseModel
import PoiseProxy
import PoiseTLS
import Testing

@testable import PoiseControl

@Suite("Whom a target must prove to be")
struct TLSNameTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var address: String
        var name: String?
        var serverName: String?
        var expected: TLSPeer.ExpectedName
        /// `nil`: nothing is sent.
        var sni: String?
        var testDescription: String { "\(address), name \(name ?? "-"), server_name \(serverName ?? "-")" }
    }

    private static let v4 = TLSPeer.ExpectedName.address(IPAddress(v4: 0x0A00_0001))

    @Test(
        "the name of the settings, else the address's own, else the address; SNI follows it and is never an address",
        arguments: [
            Row(address: "10.0.0.1:443", expected: v4),
            Row(address: "[2001:db8::1]:443", expected: .address(IPAddress("2001:db8::1")!)),
            Row(address: "web.test:443", expected: .name("web.test"), sni: "web.test"),
            Row(address: "10.0.0.1:443", name: "shop.test", expected: .name("shop.test"), sni: "shop.test"),
            Row(address: "web.test:443", name: "shop.test", expected: .name("shop.test"), sni: "shop.test"),
            Row(address: "web.test:443", name: "10.0.0.1", expected: v4),
            Row(
                address: "10.0.0.1:443", name: "2001:db8::1", serverName: "front.test",
                expected: .address(IPAddress("2001:db8::1")!), sni: "front.test"),
            Row(address: "10.0.0.1:443", serverName: "front.test", expected: v4, sni: "front.test"),
            Row(
                address: "web.test:443", name: "shop.test", serverName: "front.test", expected: .name("shop.test"),
                sni: "front.test"),
            Row(address: "web.test:443", serverName: "10.0.0.1", expected: .name("web.test")),
            Row(address: "unix:/run/app", name: "shop.test", expected: .name("shop.test"), sni: "shop.test"),
            Row(address: "unix:/run/app", expected: .name("localhost")),
        ])
    func names(row: Row) throws {
        var settings = TargetTLS()
        (settings.name, settings.serverName) = (row.name, row.serverName)
        let name = TLSName(settings, for: try TargetAddress(parsing: row.address))
        #expect(name.expected == row.expected)
        #expect(name.serverName == row.sni)
        let peer = name.peer()
        #expect(peer.expectedName == row.expected && peer.serverName == row.sni && peer.resumption == nil)
    }

    @Test(
        "a snapshot's targets have it exactly where their group speaks TLS, and Host goes without the protocol's port")
    func compiled() throws {
        let address = TargetAddress.name("web.test", port: 443)
        var settings = group("a", [Target(address: address)])
        var live = LiveObjects(workers: 1)
        func target() throws -> CompiledTarget {
            var builder = SnapshotBuilder(live: live, addresses: ["web.test": [IPAddress(v4: 1)]])
            let snapshot = try builder.build(configuration([settings]), generation: 1)
            live = builder.live
            return snapshot.groups[0].targets[0]
        }
        let plain = try target()
        #expect(plain.tlsName == nil && plain.hostHeader == "web.test:443")
        settings.tls = TargetTLS()
        let secure = try target()
        #expect(secure.tlsName == TLSName(TargetTLS(), for: address) && secure.hostHeader == "web.test")
        #expect(try target() === secure)
        settings.tls?.name = "shop.test"
        #expect(try target().tlsName?.expected == .name("shop.test"))
        #expect(secure.counters === plain.counters)
    }
}
