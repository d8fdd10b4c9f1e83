import Foundation
import PoiseConfig
import PoiseModel
import PoiseTLS
import Testing

@testable import PoiseControl

/// A folder of certificates that the command `openssl` makes, gone with the test.
private final class CertificateFolder {
    let path = NSTemporaryDirectory() + "poise-shelf-\(UInt64.random(in: 0 ... .max))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// `shop.pem` and `shop.key` for `shop`; another key and certificate each time.
    @discardableResult
    func issue(_ name: String) throws -> CertificateFiles {
        let files = CertificateFiles(certificate: "\(path)/\(name).pem", key: "\(path)/\(name).key")
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        openssl.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
            "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name).test", "-out", files.certificate,
            "-keyout", files.key!,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        try #require(openssl.terminationStatus == 0)
        return files
    }

    /// An OCSP response for what ``issue(_:)`` made, good for a day from now.
    func answer(for files: CertificateFiles) throws -> CertificateFiles {
        let base = String(files.certificate.dropLast(4))
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = [
            "-ec",
            """
            serial=$(openssl x509 -in "$1.pem" -noout -serial | cut -d= -f2)
            printf 'V\t20990101000000Z\t\t%s\tunknown\t/CN=x\n' "$serial" >"$1.index"
            openssl ocsp -issuer "$1.pem" -cert "$1.pem" -reqout "$1.request" -no_nonce
            openssl ocsp -index "$1.index" -CA "$1.pem" -rsigner "$1.pem" -rkey "$1.key" -reqin "$1.request" \\
                -respout "$1.ocsp" -ndays 1
            """, "sh", base,
        ]
        (shell.standardError, shell.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)
        var files = files
        files.ocspFile = "\(base).ocsp"
        return files
    }

    func read(_ file: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: file)) }

    func write(_ bytes: Data, to file: String) throws { try bytes.write(to: URL(fileURLWithPath: file)) }
}

@Suite("The shelf of certificates")
struct CertificateShelfTests {
    private let folder: CertificateFolder
    private let (one, two, three): (CertificateFiles, CertificateFiles, CertificateFiles)
    /// Nanoseconds since 1970, long after the files were written.
    private let now = Int64(Date().timeIntervalSince1970 + 60) * 1_000_000_000

    init() throws {
        folder = try CertificateFolder()
        (one, two, three) = (try folder.issue("one"), try folder.issue("two"), try folder.issue("three"))
    }

    private func secure(_ name: String, _ certificates: [CertificateFiles]) -> Listener {
        var listener = listener(name, port: 443, rules: [], to: "a")
        (listener.protocolKind, listener.tls) = (.https, ListenerTLS(certificates: certificates))
        return listener
    }

    /// `web` with two certificates, `api` with one; a group that verifies its targets by that one.
    private var base: Configuration {
        var group = group("a", [target(1)])
        var tls = TargetTLS()
        (tls.authorityFile, tls.certificate) = (three.certificate, three)
        group.tls = tls
        return Configuration(listeners: [secure("web", [one, two]), secure("api", [three])], targetGroups: [group])
    }

    private func prepare(
        _ configuration: Configuration? = nil, from contents: ShelfContents = ShelfContents(),
        _ mode: ShelfMode = .apply, later: Int64 = 0
    ) -> ShelfPreparation {
        ShelfPreparation(configuration ?? base, from: contents, mode: mode, now: now + later * 1_000_000_000)
    }

    @Test("what is equal is the same object, also when its files were written again")
    func reuse() throws {
        let first = prepare()
        #expect(first.errors.isEmpty && first.news.isEmpty)
        #expect(!first.contents.hasChanged(at: now / 1_000_000_000))
        try folder.write(try folder.read(one.certificate), to: one.certificate)
        #expect(first.contents.hasChanged(at: now / 1_000_000_000))
        let second = prepare(from: first.contents)
        #expect(second.errors.isEmpty && second.news.isEmpty)
        for name in ["web", "api"] {
            let context = try #require(first.contexts.listeners[name])
            #expect(second.contexts.listeners[name] === context)
        }
        let client = try #require(first.contexts.groups["a"])
        #expect(second.contexts.groups["a"] === client)
    }

    @Test(
        "another key and certificate make another context, of their own listener only",
        arguments: [ShelfMode.apply, .watch])
    func renewal(mode: ShelfMode) throws {
        let first = prepare()
        try folder.issue("two")
        let second = prepare(from: first.contents, mode)
        #expect(second.errors.isEmpty)
        #expect(second.contexts.listeners["api"] === first.contexts.listeners["api"])
        let (old, new) = (try #require(first.contexts.listeners["web"]), try #require(second.contexts.listeners["web"]))
        #expect(old !== new)
        let (before, after) = (old.certificates.certificates, new.certificates.certificates)
        #expect(before[0] === after[0] && before[1] !== after[1])
        #expect(second.news.map(Self.text) == ["renewed \(two.certificate) \(after[1].fingerprint)"])
        #expect(second.contents.ownTicketKeys === first.contents.ownTicketKeys)
    }

    @Test(
        "settings that go into a context make another one, others do not",
        arguments: [
            ("policy", true), ("alpn", true), ("order", true), ("certificates", true), ("tickets", true),
            ("hsts", false),
            ("headers", false),
        ])
    func settings(change: String, isOther: Bool) throws {
        let first = prepare()
        var configuration = base
        var tls = try #require(configuration.listeners[0].tls)
        switch change {
        case "policy": tls.policy = .modern
        case "alpn": tls.alpn = .http1Only
        case "order": tls.certificates.reverse()
        case "certificates": tls.certificates.append(three)
        case "tickets":
            tls.ticketKeyFile = folder.path + "/tickets"
            try folder.write(Data(repeating: 7, count: 48), to: folder.path + "/tickets")
        case "hsts": tls.strictTransport = StrictTransport()
        default: tls.tellsVersionAndCipher = true
        }
        configuration.listeners[0].tls = tls
        let second = prepare(configuration, from: first.contents)
        #expect(second.errors.isEmpty)
        #expect((second.contexts.listeners["web"] !== first.contexts.listeners["web"]) == isOther)
        #expect(second.contexts.listeners["api"] === first.contexts.listeners["api"])
    }

    @Test("groups share a context where nothing tells them apart")
    func clients() throws {
        var configuration = base
        for (id, version) in [("b", TargetGroup.HTTPVersion.http1), ("c", .http2)] {
            var group = configuration.targetGroups[0]
            (group.id, group.name, group.version) = (id, id, version)
            configuration.targetGroups.append(group)
        }
        let contexts = prepare(configuration).contexts.groups
        let shared = try #require(contexts["a"])
        #expect(contexts["b"] === shared && contexts["c"] !== shared && contexts["c"] != nil)
    }

    @Test("what the watch cannot use leaves what there is in force, and is told once")
    func brokenRenewal() throws {
        let first = prepare()
        let good = try folder.read(two.certificate)
        try folder.write(good.prefix(200), to: two.certificate)
        let second = prepare(from: first.contents, .watch)
        #expect(second.errors.isEmpty)
        #expect(second.contexts.listeners["web"] === first.contexts.listeners["web"])
        #expect(second.news.map(Self.text) == ["kept \(two.certificate)"])
        #expect(second.contents.certificates[two]?.problem != nil)
        // The files are the same: nothing is read, nothing told.
        #expect(!second.contents.hasChanged(at: now / 1_000_000_000))
        let third = prepare(from: second.contents, .watch, later: 5)
        #expect(third.news.isEmpty && third.contexts.listeners["web"] === first.contexts.listeners["web"])
        // An apply asks for these files, and is told what is wrong with them.
        #expect(prepare(from: third.contents).errors.map(\.path) == ["listeners[0].tls.certificates[1].certificate"])
        // Another problem is another word.
        try folder.write(try folder.read(one.certificate), to: two.certificate)
        let fourth = prepare(from: third.contents, .watch, later: 10)
        #expect(fourth.news.map(Self.text) == ["kept \(two.key!)"])
        try FileManager.default.removeItem(atPath: two.certificate)
        let fifth = prepare(from: fourth.contents, .watch, later: 15)
        #expect(fifth.news.map(Self.text) == ["kept \(two.certificate)"])
        // The old bytes are back: the same certificate serves, and that is told.
        try folder.write(good, to: two.certificate)
        let sixth = prepare(from: fifth.contents, .watch, later: 20)
        #expect(sixth.contents.certificates[two]?.problem == nil && sixth.news.count == 1)
        #expect(sixth.contexts.listeners["web"] === first.contexts.listeners["web"])
    }

    @Test("everything that is wrong is told at once, at the settings that name the files")
    func problems() throws {
        var configuration = base
        let lost = CertificateFiles(certificate: folder.path + "/lost.pem", key: folder.path + "/lost.key")
        let mixed = CertificateFiles(certificate: one.certificate, key: two.key)
        configuration.listeners[1].tls?.certificates = [lost, three, mixed]
        configuration.listeners[0].tls?.ticketKeyFile = one.certificate
        configuration.targetGroups[0].tls?.authorityFile = one.key
        var (hook, plain) = (NotifyHook(), NotifyHook())
        (hook.webhook, hook.caFile) = (try WebhookURL(parsing: "https://hooks.test/"), folder.path + "/lost.pem")
        (plain.webhook, plain.caFile) = (try WebhookURL(parsing: "http://hooks.test/"), folder.path + "/lost.pem")
        configuration.notify = [plain, hook]
        let found = prepare(configuration)
        #expect(
            found.errors.map { "\($0.path): \($0.code.name)" } == [
                "listeners[1].tls.certificates[0].certificate: unreadable",
                "listeners[1].tls.certificates[0].key: unreadable",
                "listeners[1].tls.certificates[2].key: conflict", "target_groups[0].tls.ca_file: invalid",
                "notify[1].ca_file: unreadable", "listeners[0].tls.ticket_key_file: invalid",
            ])
        #expect(found.contexts.listeners.isEmpty && found.contexts.groups.isEmpty)
    }

    @Test("authorities of webhooks are read, and again when they change")
    func webhooks() throws {
        var configuration = Configuration(listeners: [], targetGroups: [group("a", [target(1)])])
        var hook = NotifyHook()
        (hook.webhook, hook.caFile) = (try WebhookURL(parsing: "https://hooks.test/"), one.certificate)
        configuration.notify = [hook]
        #expect(configuration.tlsFiles == [one.certificate])
        let first = prepare(configuration)
        #expect(first.errors.isEmpty)
        #expect(first.contents.authorities[one.certificate]?.value == Array(try folder.read(one.certificate)))
        let other = try folder.read(two.certificate)
        try folder.write(other, to: one.certificate)
        #expect(first.contents.hasChanged(at: now / 1_000_000_000))
        let second = prepare(configuration, from: first.contents, .watch)
        #expect(second.contents.authorities[one.certificate]?.value == Array(other))
        configuration.notify = []
        #expect(prepare(configuration, from: second.contents).contents.authorities.isEmpty)
    }

    @Test("the self-signed certificate is made once")
    func selfSigned() throws {
        let configuration = Configuration(
            listeners: [secure("web", [.selfSigned]), secure("api", [.selfSigned, one])],
            targetGroups: [group("a", [target(1)])])
        let first = prepare(configuration)
        let own = try #require(first.contents.selfSigned)
        #expect(first.news.map(Self.text) == ["self-signed \(own.fingerprint)"])
        let second = prepare(configuration, from: first.contents)
        #expect(second.contents.selfSigned === own && second.news.isEmpty)
        #expect(second.contexts.listeners["api"]?.certificates.certificates.first === own)
    }

    @Test("the self-signed certificate is made anew before it runs out, and shown by every listener")
    func selfSignedAgain() throws {
        let configuration = Configuration(
            listeners: [secure("web", [.selfSigned]), secure("api", [.selfSigned])],
            targetGroups: [group("a", [target(1)])])
        let (first, day, start) = (prepare(configuration), Int64(86_400), now / 1_000_000_000)
        let own = try #require(first.contents.selfSigned)
        #expect(!first.contents.isEmpty && !first.contents.hasChanged(at: start + 19 * day))
        let early = prepare(configuration, from: first.contents, .watch, later: 19 * day)
        #expect(early.contents.selfSigned === own)
        #expect(first.contents.hasChanged(at: start + 21 * day))
        let late = prepare(configuration, from: first.contents, .watch, later: 21 * day)
        let fresh = try #require(late.contents.selfSigned)
        #expect(fresh !== own && fresh.notAfter > own.notAfter + 20 * day)
        #expect(late.news.map(Self.text) == ["self-signed \(fresh.fingerprint)"])
        for name in ["web", "api"] {
            #expect(late.contexts.listeners[name]?.certificates.certificates.map(\.fingerprint) == [fresh.fingerprint])
        }
        #expect(!late.contents.hasChanged(at: start + 21 * day))
        // Nobody asks for it any more: it is not made again for ever.
        let without = prepare(from: late.contents)
        #expect(without.contents.selfSigned == nil && !without.contents.hasChanged(at: start + 60 * day))
    }

    @Test("an OCSP response that is about the certificate before a renewal keeps nobody from renewing, and is told of")
    func staleAnswer() throws {
        let files = try folder.answer(for: one)
        var configuration = base
        configuration.listeners[0].tls?.certificates[0] = files
        let first = prepare(configuration)
        let before = try #require(first.contents.certificates[files]?.value)
        #expect(first.errors.isEmpty && first.warnings.isEmpty && before.ocspProblem(at: now / 1_000_000_000) == nil)
        try folder.issue("one")
        let second = prepare(configuration, from: first.contents, .watch)
        let after = try #require(second.contents.certificates[files]?.value)
        #expect(after !== before && second.errors.isEmpty)
        #expect(second.warnings.map(\.path) == ["listeners[0].tls.certificates[0].ocsp_file"])
        #expect(after.ocspProblem(at: now / 1_000_000_000)?.kind == .ocspOfOtherCertificate)
    }

    @Test("an OCSP response that runs out is told of once a day")
    func answerRunsOut() throws {
        let files = try folder.answer(for: one)
        let contents = prepare(
            Configuration(listeners: [secure("web", [files])], targetGroups: [group("a", [target(1)])])
        ).contents
        let certificate = try #require(contents.certificates[files]?.value)
        let end = try #require(certificate.ocspNextUpdate)
        let shown = [ExpiryWatch.Shown(owner: ("listener", "web"), files: files, certificate: certificate)]
        var watch = ExpiryWatch()
        #expect(watch.due(shown, at: end - 1).isEmpty)
        let events = watch.due(shown, at: end)
        #expect(events.map(\.message) == ["an OCSP response is not sent"])
        #expect(events.first?.fields.map(\.value).contains(files.ocspFile ?? "") == true)
        #expect(watch.due(shown, at: end + 1).isEmpty)
        #expect(watch.due(shown, at: end + 86_400).count == 1)
    }

    private static func text(_ news: ShelfPreparation.News) -> String {
        switch news {
        case .renewed(let file, let certificate): "renewed \(file) \(certificate.fingerprint)"
        case .fileRenewed(let file): "file \(file)"
        case .kept(let file, _): "kept \(file)"
        case .selfSigned(let certificate): "self-signed \(certificate.fingerprint)"
        }
    }
}

@Suite("Certificates that come to their end")
struct ExpiryWatchTests {
    private static let made: Int64 = 1_700_000_000
    private static let day: Int64 = 86_400

    /// Valid for 30 days less an hour from ``made`` on.
    private static func shown(_ files: CertificateFiles) throws -> ExpiryWatch.Shown {
        ExpiryWatch.Shown(
            owner: ("listener", "web"), files: files, certificate: try SelfSigned.make(now: made))
    }

    @Test("each is told of once a day, and once more when it has expired")
    func onceADay() throws {
        let shown = [try Self.shown(CertificateFiles(certificate: "/shop.pem"))]
        let end = shown[0].certificate.notAfter
        var watch = ExpiryWatch()
        func told(_ time: Int64) -> [String] { watch.due(shown, at: time).map { "\($0.level) \($0.message)" } }
        let soon = ["warning a certificate expires soon"]
        #expect(told(end - 30 * Self.day).isEmpty)
        #expect(told(end - 30 * Self.day + 1) == soon)
        #expect(told(end - 30 * Self.day + 5).isEmpty)
        #expect(told(end - 29 * Self.day).isEmpty)
        #expect(told(end - 29 * Self.day + 1) == soon)
        #expect(told(end - 10) == soon)
        #expect(told(end) == ["error a certificate has expired"])
        #expect(told(end + 1).isEmpty)
        #expect(told(end + Self.day) == ["error a certificate has expired"])
    }

    @Test("the self-signed one is told of only when it has expired")
    func selfSigned() throws {
        let shown = [try Self.shown(.selfSigned)]
        var watch = ExpiryWatch()
        #expect(watch.due(shown, at: Self.made).isEmpty)
        #expect(watch.due(shown, at: shown[0].certificate.notAfter).count == 1)
    }

    @Test("thousands do not flood the log")
    func many() throws {
        let shown = try (0..<50).map { try Self.shown(CertificateFiles(certificate: "/\($0).pem")) }
        var watch = ExpiryWatch()
        let events = watch.due(shown, at: Self.made + 1)
        #expect(events.count == ExpiryWatch.linesMax + 1)
        #expect(events.last?.fields.map(\.value) == ["30"])
        #expect(watch.due(shown, at: Self.made + 2).isEmpty)
    }
}
