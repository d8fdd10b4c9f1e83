import Foundation
import Testing

/// The package's own folder, from the place of this file.
private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

private func swiftFiles(of room: String) throws -> [(path: String, text: String)] {
    let folder = root.appending(path: "Sources/\(room)")
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path(percentEncoded: false))
    return try names.filter { $0.hasSuffix(".swift") }.map { name in
        ("Sources/\(room)/\(name)", try String(contentsOf: folder.appending(path: name), encoding: .utf8))
    }
}

@Suite("The house: rooms, their order, and where danger lives")
struct ArchitectureTests {
    @Test("every folder of Sources has its place in the order of rooms")
    func everyRoomIsInOrder() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: root.appending(path: "Sources").path(percentEncoded: false))
        #expect(Set(folders) == Set(House.order))
    }

    @Test(
        "a room imports only rooms before it, no Foundation, and is unsafe only where it may be", arguments: House.order
    )
    func keepsTheRules(room: String) throws {
        let files = try swiftFiles(of: room)
        #expect(!files.isEmpty || House.bindingsInC.contains(room), "\(room) has no Swift file")
        #expect(files.flatMap { House.violations(in: $0.text, room: room, file: $0.path) } == [])
    }

    @Test("what a room imports, Package.swift declares", arguments: House.order)
    func importsAreDeclared(room: String) throws {
        let package = try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
        let declared = House.declaredImports(inPackage: package)
        guard !House.bindingsInC.contains(room) else { return }
        let allowed = try #require(declared[room], "Package.swift does not name the room \(room)")
        for (path, text) in try swiftFiles(of: room) {
            for (module, line) in SwiftSource(text).imports {
                guard let imported = House.order.first(where: { House.module(of: $0) == module }) else { continue }
                #expect(allowed.contains(imported), "\(path):\(line): \(module) is not declared")
            }
        }
    }

    @Test("every room says in a README what it is for", arguments: House.order)
    func hasReadme(room: String) throws {
        guard !House.bindingsInC.contains(room) else { return }
        let text = try String(contentsOf: root.appending(path: "Sources/\(room)/README.md"), encoding: .utf8)
        let lines = text.split(separator: "\n")
        #expect(lines.first == "# \(room)")
        #expect((3...20).contains(lines.count), "about ten lines: purpose, entry, what it never does")
        #expect(text.contains("Entry:"))
    }
}
