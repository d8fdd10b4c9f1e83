import PoiseRouting
import Testing

@Suite("Path normalisation, RFC 3986 §6.2.2")
struct PathNormalizationTests {
    static func normalize(_ path: [UInt8]) -> (PathNormalization.Outcome, [UInt8]) {
        var output: [UInt8] = [1, 2, 3]
        return (PathNormalization.normalize(path.span, into: &output), output)
    }

    @Test(
        "gives the form that rules are matched on",
        arguments: [
            ("/", "/"), ("", "/"), ("*", "*"), ("/a/b.html", "/a/b.html"), ("/a/", "/a/"),
            // Triplets: unreserved ones decoded once, others in upper case, and %2F is no slash.
            ("/%7Euser/%41%2d", "/~user/A-"), ("/a%2fb", "/a%2Fb"), ("/%c3%a9", "/%C3%A9"),
            ("/%252e%252e/", "/%252e%252e/"),
            ("/%2a%3f%25", "/%2A%3F%25"), ("/a%20b", "/a%20b"),
            // Dot segments, also encoded ones.
            ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/b/..", "/a/"), ("/a/.", "/a/"), ("/.", "/"), ("/a/..", "/"),
            ("/a/%2e%2E/b", "/b"), ("/a/b/../../c", "/c"), ("/...", "/..."), ("/a/..;/b", "/a/..;/b"),
            ("/.a/b..", "/.a/b.."),
            ("/a/..%2fb", "/a/..%2Fb"),
            // Slashes, before dot segments.
            ("//", "/"), ("//a///b//", "/a/b/"), ("/a//../b", "/b"), ("/.//a", "/a"), ("//./..//" + "x", nil),
            // Bytes that no path may hold are what their triplets are.
            ("/caf\u{E9}", "/caf%C3%A9"), ("/a\\..\\b", "/a%5C..%5Cb"), ("/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D"),
        ] as [(String, String?)])
    func normalForm(path: String, normal: String?) {
        let (outcome, output) = Self.normalize(utf8(path))
        if let normal {
            #expect(outcome == .normal)
            #expect(output.text == normal)
        } else {
            #expect(outcome == .refused(.climbsAboveRoot))
        }
    }

    @Test(
        "refuses what two targets would read differently",
        arguments: [
            ("/..", .climbsAboveRoot), ("/../a", .climbsAboveRoot), ("/a/../..", .climbsAboveRoot),
            ("/%2e%2e/a", .climbsAboveRoot), ("//..", .climbsAboveRoot), ("/a/../../b/c", .climbsAboveRoot),
            ("/%", .badTriplet), ("/%4", .badTriplet), ("/%4g", .badTriplet), ("/%%41", .badTriplet),
            ("/%u0041", .badTriplet),
            ("/%00", .controlByte), ("/%0d%0a", .controlByte), ("/%7F", .controlByte), ("/a\u{0}", .controlByte),
            ("/a b", .controlByte), ("/a\tb", .controlByte), ("a", .notAbsolute), ("**", .notAbsolute),
            ("%2Fa", .notAbsolute),
        ] as [(String, PathNormalization.Refusal)])
    func refusal(path: String, refusal: PathNormalization.Refusal) {
        let bytes = utf8(path)
        #expect(Self.normalize(bytes).0 == .refused(refusal))
        #expect(!isNormal(bytes))
    }

    @Test(
        "asks for normalisation exactly where the form would change, triplets apart: every text of up to 7 characters")
    func isNormalExhaustively() {
        var wrong: [String] = []
        for text in allTexts(over: "a/.", lengthMax: 7) {
            let path = utf8("/" + text)
            let (outcome, output) = Self.normalize(path)
            let isUnchanged = outcome == .normal && output == path
            if isNormal(path) != isUnchanged { wrong.append(text) }
        }
        #expect(wrong.isEmpty)
        #expect(!isNormal(utf8("/a%2Fb")))
    }

    @Test("is stable, and never leaves a dot segment or a double slash", arguments: 1...20 as ClosedRange<UInt64>)
    func randomPaths(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var accepted = 0
        for _ in 0..<2_000 {
            let path = utf8("/" + random.text("/.a%2eEfF0c3\u{E9};\\", lengths: 0...12))
            let (outcome, output) = Self.normalize(path)
            guard outcome == .normal else { continue }
            accepted += 1
            #expect(Self.normalize(output) == (.normal, output), "seed \(seed): \(path.text)")
            let segments = output.text.split(separator: "/", omittingEmptySubsequences: false)
            #expect(!segments.contains(".") && !segments.contains(".."), "seed \(seed): \(path.text)")
            #expect(!output.text.contains("//") && output.first == UInt8(ascii: "/"), "seed \(seed): \(path.text)")
            #expect(output.count <= 3 * path.count)
        }
        #expect(accepted > 200)
    }

    @Test("never traps on any bytes", arguments: 1...10 as ClosedRange<UInt64>)
    func randomBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            let path: [UInt8] = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                .random(in: 0...255, using: &random)
            }
            let (outcome, output) = Self.normalize([UInt8(ascii: "/")] + path)
            #expect(outcome != .normal || output.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "seed \(seed): \(path)")
        }
    }
}
