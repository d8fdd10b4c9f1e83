import PoiseConfig
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("A configuration with what it refers to, as one text")
struct ConfigBundleTests {
    private static let main = """
        include: conf/web.yaml
        target_groups:
          - { name: app, targets: ["file:target"], protocol: HTTPS, tls: { ca_file: "${CA}" } }
        """
    private static let web = """
        listeners:
          - { address: ":8443", protocol: HTTPS, tls: { certificates: [web.pem, /etc/ssl/other.pem] }, forward: app }
        """

    private static func bundle(folder: String) -> ConfigBundle {
        var bundle = ConfigBundle()
        bundle.add(file: "poise.yaml", Array(main.utf8))
        bundle.add(file: "conf/web.yaml", Array(web.utf8))
        bundle.add(file: "target", Array("127.0.0.1:7001\n".utf8))
        bundle.add(variable: "CA", "ca.pem")
        bundle.add(folder: folder)
        return bundle
    }

    @Test("is the same after its bytes, and paths of certificates are seen from the sender's folder")
    func paths() throws {
        let sent = Self.bundle(folder: "/srv/me/shop")
        let received = try #require(ConfigBundle(parsing: sent.bytes))
        #expect(received == sent)
        #expect(received.workingFolder == "/srv/me/shop")
        let configuration = try received.load().configuration
        #expect(
            configuration.listeners[0].tls?.certificates.map(\.certificate) == [
                "/srv/me/shop/conf/web.pem", "/etc/ssl/other.pem",
            ])
        #expect(configuration.targetGroups[0].tls?.authorityFile == "/srv/me/shop/ca.pem")
        #expect(configuration.targetGroups[0].targets.map(\.address.description) == ["127.0.0.1:7001"])
    }

    @Test("without a folder, relative paths of certificates lead nowhere")
    func noFolder() throws {
        let received = try #require(ConfigBundle(parsing: Self.bundle(folder: "").bytes))
        let report = try #require(throws: ConfigReport.self) { try received.load() }
        #expect(report.diagnostics.map(\.code) == [.invalid, .invalid])
        #expect(report.diagnostics.map { report.location($0.range) } == ["poise.yaml:3:77", "conf/web.yaml:2:64"])
    }

    @Test("has no certificates: the receiver opens those")
    func opened() throws {
        struct Nothing: FileReader {
            func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
                throw FileReadError(reason: "Permission denied")
            }
        }
        let received = try #require(ConfigBundle(parsing: Self.bundle(folder: "/srv/me/shop").bytes))
        let report = try #require(throws: ConfigReport.self) {
            try received.load(tlsFiles: TLSFileCheck(reader: Nothing()))
        }
        #expect(
            report.diagnostics.map(\.problem).sorted() == [
                "the file '${CA}' cannot be read: Permission denied",
                "the file '/etc/ssl/other.pem' cannot be read: Permission denied",
                "the file '/srv/me/shop/conf/web.pem' cannot be read: Permission denied",
            ])
    }

    @Test(
        "bytes that are no bundle are refused",
        arguments: ["", "file 1 0", "file 1 0\n", "folder 1 0\n/", "file 1 1\na", "link 1 0\na", "file -1 0\na"])
    func refuses(text: String) {
        #expect(ConfigBundle(parsing: Array(text.utf8)) == nil)
    }
}
