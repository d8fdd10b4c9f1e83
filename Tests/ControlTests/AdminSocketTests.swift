import Glibc
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

@Suite("The admin socket's place")
struct AdminSocketTests {
    @Test(
        "is named, or follows from the user",
        arguments: [
            ("/named.sock", false, ["POISE_ADMIN": "/env.sock"], "/named.sock"),
            (nil, true, ["POISE_ADMIN": "/env.sock"], "/env.sock"),
            (nil, true, ["XDG_RUNTIME_DIR": "/run/user/7"], "/run/poise/admin.sock"),
            (nil, false, ["XDG_RUNTIME_DIR": "/run/user/7"], "/run/user/7/poise/admin.sock"),
            (nil, false, ["XDG_RUNTIME_DIR": "relative", "POISE_ADMIN": ""], "/tmp/poise-7/admin.sock"),
        ] as [(String?, Bool, [String: String], String)])
    func path(setting: String?, isRoot: Bool, environment: [String: String], path: String) {
        #expect(AdminSocket(setting, isRoot: isRoot, userID: 7) { environment[$0] }.path == path)
    }

    private func inTemporaryFolder(_ body: (String) throws -> Void) throws {
        var name = Array("/tmp/poise-test-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&name) != nil)
        let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = unsafe rmdir(path) }
        try body(path)
    }

    /// What is wrong with the folder below `base`; `nil` when nothing is.
    private func problem(_ base: String, userID: Int = ProcessLimits.userID) -> String? {
        let socket = AdminSocket(nil, isRoot: false, userID: userID, temporary: base) { _ in nil }
        do { try socket.checkFolder() } catch { return error.problem }
        return nil
    }

    @Test(
        "below /tmp nobody else may even enter",
        arguments: [
            (0o700, nil), (0o500, nil), (0o710, "enter"), (0o750, "enter"), (0o720, "write"), (0o1777, "write"),
        ]
            as [(UInt32, String?)])
    func temporary(mode: UInt32, word: String?) throws {
        try inTemporaryFolder { base in
            let folder = "\(base)/poise-\(ProcessLimits.userID)"
            #expect(problem(base) == nil, "nobody listens in a folder that is missing")
            try Files.makeDirectory(folder, mode: 0o700)
            defer { _ = unsafe rmdir(folder) }
            try Files.setMode(folder, mode)
            #expect(problem(base).map { $0.contains("others may \(word ?? "-")") } == word.map { _ in true })
        }
    }

    @Test("a folder of another user is refused, one of root is not")
    func owner() throws {
        try inTemporaryFolder { base in
            let other = ProcessLimits.userID + 1
            let folder = "\(base)/poise-\(other)"
            try Files.makeDirectory(folder, mode: 0o700)
            defer { _ = unsafe rmdir(folder) }
            if ProcessLimits.isRoot { #expect(problem(base, userID: other) == nil) }
            if ProcessLimits.isRoot { _ = unsafe chown(folder, 4242, 4242) }
            let owner = ProcessLimits.isRoot ? 4242 : ProcessLimits.userID
            #expect(problem(base, userID: other)?.contains("belongs to the user with id \(owner)") == true)
        }
    }

    @Test("who may listen there: the user, root, and the owner of a folder that somebody named")
    func trust() throws {
        try inTemporaryFolder { base in
            let me = ProcessLimits.userID
            let ours = AdminSocket(nil, isRoot: false, userID: me + 1, temporary: base) { _ in nil }
            #expect(ours.trusts(userID: me + 1) && ours.trusts(userID: 0) && !ours.trusts(userID: me + 2))
            let named = AdminSocket("\(base)/admin.sock", isRoot: false, userID: me + 1) { _ in nil }
            #expect(named.trusts(userID: me) && named.trusts(userID: 0) && !named.trusts(userID: me + 2))
        }
    }
}
