import Testing

@Suite("The checker of the house finds what is wrong")
struct HouseTests {
    @Test(
        "refuses a file that breaks a rule",
        arguments: [
            ("HTTP", "import PoiseProxy"),
            ("HTTP", "import PoiseHTTP"),
            ("HTTP", "import PoiseAttic"),
            ("Model", "public import struct PoiseHTTP.RequestHead"),
            ("Balancing", "@_exported import PoiseLive"),
            ("Proxy", "import Foundation"),
            ("Platform", "import FoundationEssentials"),
            ("Control", "internal import class Foundation.FileManager"),
            ("Proxy", "let byte = unsafe pointer.pointee"),
            ("Proxy", "@unsafe struct Box {}"),
            ("Control", "nonisolated(unsafe) var shared = 0"),
            ("Health", "extension Box: @unchecked Sendable {}"),
            ("Attic", "let a = 1"),
            ("HTTP", "let text = \"a // b\"; let byte = unsafe pointer.pointee"),
            ("HTTP", "let raw = #\"\\\"#; let byte = unsafe pointer.pointee"),
        ])
    func refuses(room: String, text: String) {
        #expect(House.violations(in: text, room: room, file: "f").count == 1)
    }

    @Test(
        "accepts a file that keeps them",
        arguments: [
            ("Proxy", "import PoiseHTTP\nimport PoiseModel\nimport Glibc"),
            ("YAML", "import CYAML\nlet node = unsafe document.pointee"),
            ("Loop", "extension Mailbox: @unchecked Sendable {}"),
            ("HTTP", "// unsafe words in prose; import Foundation\nlet a = 1"),
            ("HTTP", "/* outer /* import PoiseProxy */ unsafe */ let a = 1"),
            ("HTTP", "let text = \"unsafe\"; let raw = #\"say \"unsafe\"\"#"),
            ("HTTP", "let text = \"\"\"\n    import Foundation\n    \"quoted\" unsafe\n    \"\"\""),
            ("HTTP", "let unsafeties = 0; let escaped = \"\\\" unsafe\""),
            ("poise", "import PoiseControl"),
        ])
    func accepts(room: String, text: String) {
        #expect(House.violations(in: text, room: room, file: "f") == [])
    }

    @Test("a line is counted from the file's first line, comments included")
    func countsLines() {
        let text = "/* one\n two */\n\nimport PoiseProxy"
        #expect(
            House.violations(in: text, room: "HTTP", file: "f")
                == ["f:4: HTTP imports PoiseProxy, which does not stand before it"])
    }

    @Test("reads what Package.swift declares")
    func readsPackage() {
        let text = """
            room("Model"),
            room("YAML", ["Model"], ["CYAML"]),
            room(
                "Control",
                [
                    "Model", "YAML",
                ]),
            .executableTarget(
                name: "poise",
                dependencies: [
                    "PoiseModel", "PoiseControl",
                ],
            """
        let declared = House.declaredImports(inPackage: text)
        #expect(
            declared == [
                "Model": [], "YAML": ["Model", "CYAML"], "Control": ["Model", "YAML"], "poise": ["Model", "Control"],
            ])
    }
}
