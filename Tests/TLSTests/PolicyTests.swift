import PoiseLoop
import PoiseModel
import Testing

@testable import PoiseTLS

@Suite("Security policies in practice")
struct PolicyTests {
    typealias Sessions = SessionTests
    private static let rsa = Sessions.authority.load("DNS:shop.test", .rsa)

    @Test("agrees on what the policy names, and on no version below it", arguments: SecurityPolicy.allNames)
    func negotiates(name: String) throws {
        let policy = try #require(SecurityPolicy.named(name))
        let server = try Sessions.server(policy, certificates: [Sessions.certificate, Self.rsa])
        for version in [SecurityPolicy.Version.tls10, .tls11, .tls12, .tls13] {
            let all = SecurityPolicy.old
            let only = SecurityPolicy(
                "only", version...version, ciphers: all.ciphers, suites: all.suites, groups: all.groups,
                prefersServerOrder: false)
            let pair = Pair(server, try Sessions.client(only), peer: Sessions.peer)
            pair.handshake()
            let allowed = (policy.versionMin...policy.versionMax).contains(version)
            #expect(pair.isDone == allowed, "\(version)")
            if !allowed { #expect(pair.serverFailure == .protocolVersion) }
        }
    }

    @Test("takes each of its ciphers and refuses all others", arguments: SecurityPolicy.allNames)
    func ciphers(name: String) throws {
        let policy = try #require(SecurityPolicy.named(name))
        guard policy.versionMin <= .tls12 else { return }
        let server = try Sessions.server(policy, certificates: [Sessions.certificate, Self.rsa])
        for cipher in SecurityPolicy.old.ciphers {
            let only = SecurityPolicy(
                "only", .tls12 ... .tls12, ciphers: [cipher], suites: [], groups: SecurityPolicy.old.groups,
                prefersServerOrder: false)
            let pair = Pair(server, try Sessions.client(only), peer: Sessions.peer)
            pair.handshake()
            #expect(pair.isDone == policy.ciphers.contains(cipher), "\(cipher)")
            if !pair.isDone { #expect(pair.serverFailure == .noSharedCipher) }
        }
    }
}
