import Foundation
import PoiseConfig
import PoiseModel
import Testing

@Suite("What is published beside the code")
struct DocumentTests {
    /// The root of the repository.
    static let root = "\(#filePath)".replacing("Tests/ConfigTests/DocumentTests.swift", with: "")

    @Test(
        "every example loads without an error or a warning",
        arguments: ["minimal", "quickstart", "full", "https", "http2-targets"])
    func example(name: String) throws {
        do {
            let loaded = try ConfigLoader.load(
                path: "examples/\(name).yaml", files: FolderReader(folder: Self.root), environment: { _ in nil })
            #expect(loaded.warnings.render() == "")
            let canonical = CanonicalForm.render(loaded.configuration, origins: loaded.origins)
            let again = try ConfigLoader.load(
                text: Array(canonical.utf8), name: "examples/\(name).yaml", files: FolderReader(folder: Self.root))
            #expect(again.configuration == loaded.configuration)
        } catch {
            Issue.record("\(error.render())")
        }
    }

    @Test("examples/full.yaml has every section that docs/settings.md has")
    func everySection() throws {
        let text = String(
            decoding: try Data(contentsOf: URL(fileURLWithPath: Self.root + "examples/full.yaml")), as: UTF8.self)
        // Of "tls of listeners[]" and "rules[]" the key alone; what is only commented out is not at work.
        let keys = text.split(separator: "\n").map { $0.prefix { $0 != "#" } }.joined(separator: "\n")
        let sections = SettingsDocument.text.split(separator: "\n").filter { $0.hasPrefix("## ") }.map {
            $0.dropFirst(3).prefix { $0.isLetter || $0 == "_" }
        }
        #expect(sections.count > 15)
        for section in sections where section != "The" {
            #expect(keys.contains(section + ":") || keys.contains(section + "s:"), "\(section)")
        }
    }

    @Test("the quick start is what the README says it is")
    func quickstart() throws {
        let loaded = try ConfigLoader.load(
            path: "examples/quickstart.yaml", files: FolderReader(folder: Self.root), environment: { _ in nil })
        let configuration = loaded.configuration
        #expect(configuration.listeners.map(\.id) == ["web"])
        #expect(configuration.listeners[0].addresses == [.anyAddress(port: 8080)])
        #expect(
            configuration.targetGroups[0].targets.map(\.address.description) == ["127.0.0.1:7001", "127.0.0.1:7002"])
        guard case .http(let probe)? = configuration.targetGroups[0].healthCheck?.kind else {
            Issue.record("not an HTTP check")
            return
        }
        #expect(probe.path == "/health")
    }

    @Test("docs/settings.md is what the tables say")
    func settings() throws {
        try compare("docs/settings.md", SettingsDocument.text)
    }

    @Test("docs/poise.schema.json is what the tables say, and is JSON")
    func schema() throws {
        try compare("docs/poise.schema.json", ConfigSchema.text)
        let object = try JSONSerialization.jsonObject(with: Data(ConfigSchema.text.utf8))
        let properties = try #require((object as? [String: Any])?["properties"] as? [String: Any])
        #expect(
            Set(properties.keys) == [
                "version", "process", "logs", "defaults", "load_balancers", "listeners", "rule_sets", "target_groups",
                "include", "notify",
            ])
    }

    private func compare(_ path: String, _ text: String) throws {
        let file = URL(fileURLWithPath: Self.root + path)
        if Fixture.isUpdating { try Data(text.utf8).write(to: file) }
        #expect(
            String(decoding: try Data(contentsOf: file), as: UTF8.self) == text,
            "POISE_UPDATE_FIXTURES=1 writes it anew")
    }
}
