import Foundation
import Glibc
import PoisePlatform
import Testing

/// A folder of its own, gone with the test.
final class Folder {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.appending(path: "poise-\(UUID().uuidString)").path
        // SAFETY: the string is used during the call only.
        precondition(unsafe mkdir(path, 0o755) == 0)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String) {
        precondition(FileManager.default.createFile(atPath: self[name], contents: Data(text.utf8)))
    }
}

/// What `body` throws, or `nil`.
func failure(_ body: () throws(SystemError) -> Void) -> SystemError? {
    do { try body() } catch { return error }
    return nil
}

@Suite("Files: what the system says is told by call and errno")
struct FilesTests {
    private let folder = Folder()

    @Test("facts are those of the link or of what it leads to, as asked")
    func facts() throws {
        folder.write("x", to: "file")
        try Files.setMode(folder["file"], 0o640)
        try FileManager.default.createSymbolicLink(atPath: folder["link"], withDestinationPath: folder.path)
        let file = try Files.facts(of: folder["file"], followsLink: false)
        #expect(file.kind == .file && file.ownerID == ProcessLimits.userID && file.mode == 0o640)
        #expect(try Files.facts(of: folder["link"], followsLink: false).kind == .link)
        #expect(try Files.facts(of: folder["link"], followsLink: true).kind == .folder)
        #expect(try Files.facts(of: folder.path, followsLink: false).mode == 0o755)
    }

    @Test("a place that is not there is an error with its errno, and does not disturb the next call")
    func missing() throws {
        folder.write("x", to: "file")
        try FileManager.default.createSymbolicLink(atPath: folder["dangling"], withDestinationPath: folder["nobody"])
        for follows in [false, true] {
            #expect(
                failure { () throws(SystemError) in _ = try Files.facts(of: folder["nobody"], followsLink: follows) }
                    == SystemError(call: "stat", code: ENOENT))
            #expect(
                failure { () throws(SystemError) in _ = try Files.facts(of: folder["file/x"], followsLink: follows) }
                    == SystemError(call: "stat", code: ENOTDIR))
        }
        #expect(try Files.facts(of: folder["dangling"], followsLink: false).kind == .link)
        #expect(
            failure { () throws(SystemError) in _ = try Files.facts(of: folder["dangling"], followsLink: true) }?.code
                == Errno.notFound)
        #expect(failure { () throws(SystemError) in try Files.setMode(folder["nobody"], 0o600) }?.code == ENOENT)
        #expect("\(SystemError(call: "stat", code: ENOENT))" == "stat: No such file or directory")
    }

    @Test("a file of exactly the limit is read, one byte more is refused", arguments: [0, 1, 65_536, 65_537, 200_000])
    func limit(count: Int) throws {
        let text = String(repeating: "a", count: count)
        folder.write(text, to: "file")
        #expect(try Files.read(folder["file"], limit: count) == Array(text.utf8))
        guard count > 0 else { return }
        #expect(
            failure { () throws(SystemError) in _ = try Files.read(folder["file"], limit: count - 1) }
                == SystemError(call: "read", code: EFBIG))
    }

    @Test("what cannot be read or written says which call failed")
    func refusals() throws {
        #expect(
            failure { () throws(SystemError) in _ = try Files.read(folder["nobody"], limit: 1) }
                == SystemError(call: "open", code: ENOENT))
        #expect(
            failure { () throws(SystemError) in _ = try Files.read(folder.path, limit: 1) }
                == SystemError(call: "read", code: EISDIR))
        let bytes = [UInt8](repeating: 1, count: 10)
        let full = try Files.openForAppending("/dev/full")
        let fullNumber = full.number
        #expect(
            failure { () throws(SystemError) in try Files.write(bytes.span, to: fullNumber) }
                == SystemError(call: "write", code: ENOSPC))
        #expect(failure { () throws(SystemError) in _ = try Files.writeSome(bytes.span, to: -1) }?.code == EBADF)
        _ = consume full
    }

    @Test("a log is created for its owner and group only, and appended to")
    func appends() throws {
        for text in ["one\n", "two\n"] {
            let file = try Files.openForAppending(folder["log"])
            try Files.write(Array(text.utf8).span, to: file.number)
        }
        #expect(try Files.read(folder["log"], limit: 100) == Array("one\ntwo\n".utf8))
        #expect(try Files.facts(of: folder["log"], followsLink: false).mode & 0o027 == 0)
    }

    @Test("a directory that is there already is fine; one without a parent is not")
    func directories() throws {
        try Files.makeDirectory(folder["new"], mode: 0o700)
        try Files.makeDirectory(folder["new"], mode: 0o755)
        #expect(try Files.facts(of: folder["new"], followsLink: false).mode == 0o700)
        #expect(
            failure { () throws(SystemError) in try Files.makeDirectory(folder["a/b"], mode: 0o700) }
                == SystemError(call: "mkdir", code: ENOENT))
    }
}
