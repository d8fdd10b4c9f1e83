import Foundation
import PoiseConfig
import PoiseModel
import Testing

/// Every `NAME.yaml` in `Fixtures` has a `NAME.canonical` (what it means) or a `NAME.errors` (the exact text of the
/// report); `NAME.warnings` where it is accepted with warnings. `POISE_UPDATE_FIXTURES=1` writes them anew: look at
/// each difference before it is committed.
@Suite("Fixtures")
struct FixtureTests {
    @Test("a file gives its canonical form or its exact errors", arguments: Fixture.all)
    func gives(fixture: Fixture) throws {
        switch fixture.load() {
        case .success(let loaded):
            let canonical = CanonicalForm.render(
                loaded.configuration, origins: loaded.origins, includingDefaults: fixture.showsDefaults)
            try fixture.compare("canonical", canonical)
            try fixture.compare("warnings", loaded.warnings.render())
            try fixture.compare("errors", "")
        case .failure(let report):
            #expect(report.hasErrors)
            try fixture.compare("errors", report.render())
            try fixture.compare("canonical", "")
            try fixture.compare("warnings", "")
        }
    }

    @Test("there are at least 80 pairs, and both kinds are many")
    func enough() {
        let accepted = Fixture.all.filter { if case .success = $0.load() { true } else { false } }.count
        #expect(Fixture.all.count >= 80)
        #expect(accepted >= 25)
        #expect(Fixture.all.count - accepted >= 40)
    }

    @Test(
        "what YAML would take apart is answered with quotes",
        arguments: [
            ("trap-matcher-comma", "200-299,404"), ("trap-host-hash", "#{host}"), ("trap-host-star", "*.shop.test"),
            ("trap-address-brackets", "[::]:443"), ("trap-address-colon-in-flow", ":8080"),
            ("trap-variable-in-flow", "${DIR}/y"), ("trap-regex-braces", "a{1,3}"),
        ])
    func traps(name: String, value: String) {
        guard case .failure(let report) = Fixture(name: name).load() else {
            Issue.record("\(name) is accepted")
            return
        }
        #expect(report.diagnostics.count == 1)
        #expect(report.diagnostics.first?.fix.hasSuffix("put it in quotes: \"\(value)\"") == true)
    }

    @Test("the canonical form loads as the same configuration", arguments: Fixture.all, [true, false])
    func roundTrip(fixture: Fixture, includingDefaults: Bool) throws {
        guard case .success(let loaded) = fixture.load() else { return }
        let canonical = CanonicalForm.render(
            loaded.configuration, origins: loaded.origins, includingDefaults: includingDefaults)
        let again = fixture.load(text: Array(canonical.utf8))
        guard case .success(let second) = again else {
            if case .failure(let report) = again { Issue.record("\(report.render())\n\(canonical)") }
            return
        }
        #expect(second.configuration == loaded.configuration)
        // Once canonical, it stays as it is.
        let third = CanonicalForm.render(
            second.configuration, origins: second.origins, includingDefaults: includingDefaults)
        #expect(Fixture.withoutOrigins(third) == Fixture.withoutOrigins(canonical))
    }

    @Test("a value from the environment or a file is never shown", arguments: Fixture.all)
    func secrets(fixture: Fixture) {
        let shown: String
        switch fixture.load() {
        case .success(let loaded):
            shown = CanonicalForm.render(loaded.configuration, origins: loaded.origins) + loaded.warnings.render()
        case .failure(let report): shown = report.render()
        }
        for secret in Fixture.secrets { #expect(!shown.contains(secret), "\(fixture.name) shows \(secret)") }
    }
}

/// One file of the folder.
struct Fixture: CustomTestStringConvertible, Sendable {
    let name: String
    var testDescription: String { name }

    static let folder = "\(#filePath)".replacing("FixtureTests.swift", with: "Fixtures")
    static let isUpdating = ProcessInfo.processInfo.environment["POISE_UPDATE_FIXTURES"] != nil

    static let all: [Fixture] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted().map { Fixture(name: String($0.dropLast(".yaml".count))) }
    }()

    /// Values of the variables below, and of `files/token`, that may appear nowhere.
    static let secrets = ["s3cr3t-value", "hunter2"]
    static let environment = [
        "DIR": "/srv/shop", "CERTS": "files/tls", "PORT": "8080", "HOST": "shop.test", "WEIGHT": "7", "HEAVY": "999",
        "EMPTY": "",
        "SECRET": "s3cr3t-value", "APP": "127.0.0.1:7001", "GROUP": "web",
    ]

    /// Fixtures about defaults show all of them.
    var showsDefaults: Bool { name.contains("all-settings") }

    func load(text: [UInt8]? = nil) -> Result<LoadedConfiguration, ConfigReport> {
        let files = FolderReader(folder: Self.folder, workingFolder: "/etc/poise")
        let tlsFiles = TLSFileCheck(reader: files, certificate: Self.problems, authorities: Self.problems)
        do throws(ConfigReport) {
            if let text {
                return .success(
                    try ConfigLoader.load(
                        text: text, name: "\(name).yaml", files: files, environment: { Self.environment[$0] },
                        tlsFiles: tlsFiles))
            }
            return .success(
                try ConfigLoader.load(
                    path: "\(name).yaml", files: files, environment: { Self.environment[$0] }, tlsFiles: tlsFiles))
        } catch {
            return .failure(error)
        }
    }

    /// Stands for those who understand certificates: a file says by itself what is wrong with it.
    private static func problems(_ contents: CertificateContents) -> [TLSFileProblem] {
        let parts: [(TLSFileProblem.Part, [UInt8])] = [
            (.certificate, contents.certificate), (.key, contents.key ?? contents.certificate),
            (.passphrase, contents.passphrase ?? []), (.ocsp, contents.ocsp ?? []),
        ]
        return parts.flatMap { part, bytes in problems(part, bytes) }
    }

    private static func problems(_ authorities: [UInt8]) -> [TLSFileProblem] { problems(.certificate, authorities) }

    private static func problems(_ part: TLSFileProblem.Part, _ bytes: [UInt8]) -> [TLSFileProblem] {
        let words = [
            "certificate": TLSFileProblem.Part.certificate, "key": .key, "passphrase": .passphrase, "ocsp": .ocsp,
        ]
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            // error key: the key is that of another certificate
            let sides = line.split(separator: ": ", maxSplits: 1).map(String.init)
            let head = sides[0].split(separator: " ").map(String.init)
            guard sides.count == 2, head.count == 2, let severity = Diagnostic.Severity(rawValue: head[0]),
                words[head[1]] == part
            else { return nil }
            return TLSFileProblem(part, severity, problem: sides[1], fix: "take another file")
        }
    }

    func compare(_ kind: String, _ text: String) throws {
        let file = URL(fileURLWithPath: "\(Self.folder)/\(name).\(kind)")
        if Self.isUpdating {
            if text.isEmpty {
                try? FileManager.default.removeItem(at: file)
            } else {
                try Data(text.utf8).write(to: file)
            }
            return
        }
        let expected = (try? Data(contentsOf: file)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        #expect(text == expected, "\(name).\(kind)")
    }

    static func withoutOrigins(_ text: String) -> String {
        text.split(separator: "\n").map { line in
            line.firstRange(of: "  # ").map { String(line[..<$0.lowerBound]) } ?? String(line)
        }.joined(separator: "\n")
    }
}

/// Reads below one folder of the sources, and nothing else.
struct FolderReader: FileReader {
    let folder: String
    /// What the folder is called from the root on.
    var workingFolder = ""

    func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        let isBelow = !workingFolder.isEmpty && path.hasPrefix("\(workingFolder)/")
        let path = isBelow ? String(path.dropFirst(workingFolder.count + 1)) : path
        guard let data = FileManager.default.contents(atPath: "\(folder)/\(path)") else {
            throw FileReadError(reason: "No such file or directory")
        }
        guard data.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
        return Array(data)
    }
}
