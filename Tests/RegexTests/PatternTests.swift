import PoiseRegex
import Testing

@Suite("Patterns that users write, on bytes that anybody sends")
struct PatternTests {
    @Test(
        "finds, and says where what was found ends",
        arguments: [
            ("ok", "it is ok.", .found(end: 8)), ("^ok$", "ok", .found(end: 2)), ("^ok$", "okay", .absent),
            ("(?i)READY", "we are ready", .found(end: 12)), ("a.c", "abbc", .absent),
            ("é", "caf\u{E9}", .found(end: 5)),
            ("", "", .found(end: 0)), ("(?m)^load [0-9]+$", "x\nload 17\ny", .found(end: 9)),
        ] as [(String, String, Pattern.Answer)])
    func finds(pattern: String, text: String, answer: Pattern.Answer) throws {
        #expect(try Pattern(pattern).search(Array(text.utf8).span) == answer)
    }

    @Test(
        "while more may follow, found is only what stays found",
        arguments: [
            ("ok", "ok", .found(end: 2)), ("^ok$", "ok", .absent), ("ok\\b", "ok", .absent), ("ok\\z", "ok", .absent),
            ("ok\\b", "ok.", .found(end: 2)), ("ok(?!ay)", "ok", .absent), ("ok(?!ay)", "ok then", .found(end: 2)),
            ("[0-9]+", "12", .absent), ("[0-9]{2}", "12", .found(end: 2)), ("abc", "xab", .absent),
        ] as [(String, String, Pattern.Answer)])
    func partly(pattern: String, text: String, answer: Pattern.Answer) throws {
        #expect(try Pattern(pattern).search(Array(text.utf8).span, mayGoOn: true) == answer)
    }

    @Test(
        "says what is wrong with a pattern, and at which byte",
        arguments: [
            ("ab(c", "missing closing parenthesis", 4), ("a*b[", "missing terminating ] for character class", 4),
            ("*a", "quantifier does not follow a repeatable item", 0),
            ("a\\C", "using \\C is disabled by the application", 3),
            ("(?<n>a)(?<n>b)", "two named subpatterns have the same name (PCRE2_DUPNAMES not set)", 12),
        ])
    func refuses(pattern: String, reason: String, offset: Int) {
        #expect(throws: PatternProblem(reason, at: offset)) { try Pattern(pattern) }
    }

    @Test("a pattern has at most 1,024 bytes")
    func length() throws {
        _ = try Pattern(String(repeating: "a", count: 1024))
        #expect(throws: PatternProblem("it has more than 1024 bytes", at: 1024)) {
            try Pattern(String(repeating: "a", count: 1025))
        }
    }

    @Test(
        "a search that would take for ever is given up within a moment",
        arguments: ["^(a+)+$", "^(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
    func bounded(pattern: String) throws {
        let subject = [UInt8](repeating: 0x61, count: 30_000) + Array("!".utf8)
        let pattern = try Pattern(pattern)
        var answer = Pattern.Answer.absent
        let taken = ContinuousClock().measure { answer = pattern.search(subject.span) }
        #expect(answer == .tooCostly)
        // Hundreds of times what it takes, for machines that do something else meanwhile; without a bound it takes years.
        #expect(taken < .seconds(5))
        // The same pattern is as good as before.
        #expect(pattern.search(Array("b!".utf8).span) != .tooCostly)
    }

    @Test("what is too deep for machine code is interpreted")
    func deep() throws {
        let pattern = try Pattern("^(?:(a)|b)*c")
        #expect(pattern.search(([UInt8](repeating: 0x61, count: 4_000) + [0x63]).span) == .found(end: 4_001))
    }

    @Test("bytes that are no UTF-8 end no search")
    func binary() throws {
        let bytes: [UInt8] = [0xFF, 0x00, 0xC3, 0x6F, 0x6B, 0xFE]
        #expect(try Pattern("ok").search(bytes.span) == .found(end: 5))
        #expect(try Pattern("o.k").search(bytes.span) == .absent)
    }
}
