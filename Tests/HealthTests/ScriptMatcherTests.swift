import PoiseHealth
import PoiseModel
import PoiseRegex
import Testing

@Suite("Scripts: bytes in, the next thing to do out")
struct ScriptMatcherTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var probe: ScriptProbe.Dialogue
        /// What the target answers to the n-th thing that is said; the first comes before anything is.
        var answers: [String]
        /// `passed`, or the text of the finding.
        var end: String
        var note = ""
    }

    private static let mysqlGreeting =
        "\u{3A}\0\0\0\u{A}5.5.5-10.11.6-MariaDB\0" + String(repeating: "x", count: 58 - 1 - 22)
    private static let mysqlOK = "\u{7}\0\0\u{2}\0\0\0\u{2}\0\0\0"

    private static func mysqlError(_ text: String, number: UInt8) -> String {
        let length = UnicodeScalar(UInt8(3 + text.utf8.count))
        // Error 1045: 0x15 0x04.
        return "\(length)\0\0\(UnicodeScalar(number))\u{FF}\u{15}\u{4}\(text)"
    }

    private static func postgreSQL(_ kind: String, _ body: String) -> String {
        "\(kind)\0\0\0\(UnicodeScalar(UInt8(4 + body.unicodeScalars.count)))\(body)"
    }

    static let rows: [Row] = [
        Row(
            testDescription: "a text", probe: .steps([.send("hi"), .expect("lo")]), answers: ["", "hello"],
            end: "passed"),
        Row(
            testDescription: "texts one behind the other, each used up",
            probe: .steps([.expect("a"), .expect("a"), .expect("b")]),
            answers: ["xxaxab"], end: "passed"),
        Row(
            testDescription: "an earlier text is not found again", probe: .steps([.expect("ab"), .expect("ab")]),
            answers: ["xab"], end: "step 2: expected 'ab', got nothing"),
        Row(
            testDescription: "what came before something was said is no answer to it",
            probe: .steps([.expect("ready"), .send("x"), .expect("ok")]), answers: ["ready ok", ""],
            end: "step 3: expected 'ok', got nothing"),
        Row(
            testDescription: "hexadecimal", probe: .steps([.sendHex([0, 1]), .expectHex([0xFE, 0xFF])]),
            answers: ["", "a\u{FE}\u{FF}"],
            end: "passed"),
        Row(
            testDescription: "a pattern", probe: .steps([.expectRegex("^load: [0-9]+;")]), answers: ["load: 17;"],
            end: "passed"),
        Row(
            testDescription: "no such text", probe: .steps([.expect("it's")]), answers: ["no\r\n\t\0\u{E9}"],
            end: "step 1: expected 'it\\'s', got 'no\\r\\n\\t\\x00\\xe9'"),
        Row(testDescription: "redis", probe: .redis(password: nil), answers: ["", "+PONG\r\n"], end: "passed"),
        Row(
            testDescription: "redis with a password", probe: .redis(password: "p w"),
            answers: ["", "+OK\r\n", "+PONG\r\n"],
            end: "passed"),
        Row(
            testDescription: "redis wants one", probe: .redis(password: nil),
            answers: ["", "-NOAUTH Authentication required.\r\n"],
            end: "expected '+PONG', got '-NOAUTH Authentication required.\\r\\n': the check needs a 'password'"),
        Row(
            testDescription: "smtp", probe: .smtp(helo: "lb"),
            answers: ["220-a\r\n220 b\r\n", "250-c\r\n250-d\r\n250 e\r\n"],
            end: "passed"),
        Row(
            testDescription: "smtp without words", probe: .smtp(helo: "lb"), answers: ["220\r\n", "250\r\n"],
            end: "passed"),
        Row(
            testDescription: "smtp is busy", probe: .smtp(helo: "lb"), answers: ["421 busy\r\n"],
            end: "expected a reply 220, got '421 busy\\r\\n'"),
        Row(
            testDescription: "smtp changes its mind", probe: .smtp(helo: "lb"),
            answers: ["220 b\r\n", "250-c\r\n550 d\r\n"],
            end: "expected a reply 250, got '250-c\\r\\n550 d\\r\\n'"),
        Row(
            testDescription: "mysql", probe: .mysql(user: "probe"), answers: [mysqlGreeting, mysqlOK], end: "passed",
            note: "MySQL 10.11.6-MariaDB"),
        Row(
            testDescription: "mysql refuses the user", probe: .mysql(user: "probe"),
            answers: [mysqlGreeting, mysqlError("#28000Access denied", number: 2)],
            end: "expected a login without a password, got 'error 1045: Access denied'",
            note: "MySQL 10.11.6-MariaDB"),
        Row(
            testDescription: "mysql refuses a stranger", probe: .mysql(user: nil),
            answers: [mysqlGreeting, mysqlError("#28000Access denied", number: 2)], end: "passed",
            note: "MySQL 10.11.6-MariaDB"),
        Row(
            testDescription: "mysql asks for another way, then is content", probe: .mysql(user: "probe"),
            answers: [mysqlGreeting, "\u{4}\0\0\u{2}\u{FE}a\0b", "\u{7}\0\0\u{4}\0\0\0\u{2}\0\0\0"], end: "passed",
            note: "MySQL 10.11.6-MariaDB"),
        Row(
            testDescription: "mysql asks for ever", probe: .mysql(user: "probe"),
            answers: [
                mysqlGreeting, "\u{4}\0\0\u{2}\u{FE}a\0b", "\u{4}\0\0\u{4}\u{FE}a\0b", "\u{4}\0\0\u{6}\u{FE}a\0b",
            ],
            end: "expected a login without a password, got nothing", note: "MySQL 10.11.6-MariaDB"),
        Row(
            testDescription: "mysql is full", probe: .mysql(user: nil), answers: [mysqlError("Too many", number: 0)],
            end: "expected a greeting of MySQL, got 'error 1045: Too many'"),
        Row(
            testDescription: "no mysql", probe: .mysql(user: nil), answers: ["SSH-2.0-x\r\n"],
            end: "expected a greeting of MySQL, got 'SSH-2.0-x\\r\\n'"),
        Row(
            testDescription: "postgresql asks for a password", probe: .postgresql(user: "p"),
            answers: ["", postgreSQL("R", "\0\0\0\u{A}SCRAM-SHA-256\0\0")], end: "passed"),
        Row(
            testDescription: "postgresql asks for none", probe: .postgresql(user: "p"),
            answers: [
                "",
                postgreSQL("R", "\0\0\0\0") + postgreSQL("S", "a\0b\0") + postgreSQL("K", "12345678")
                    + postgreSQL("Z", "I"),
            ], end: "passed"),
        Row(
            testDescription: "postgresql asks for none, and knows no such user", probe: .postgresql(user: "p"),
            answers: [
                "", postgreSQL("R", "\0\0\0\0") + postgreSQL("E", "SFATAL\0C28000\0Mrole \"p\" does not exist\0\0"),
            ],
            end: "expected a request to authenticate, got '28000: role \"p\" does not exist'"),
        Row(
            testDescription: "postgresql knows no stranger", probe: .postgresql(user: nil),
            answers: ["", postgreSQL("E", "SFATAL\0C28000\0Mno\0\0")], end: "passed"),
        Row(
            testDescription: "postgresql starts up", probe: .postgresql(user: nil),
            answers: ["", postgreSQL("E", "SFATAL\0C57P03\0Mthe database system is starting up\0\0")],
            end: "expected a request to authenticate, got '57P03: the database system is starting up'"),
        Row(
            testDescription: "no postgresql", probe: .postgresql(user: nil), answers: ["", "HTTP/1.1"],
            end:
                "expected a request to authenticate, got 'HTTP/1.1'"),
        Row(testDescription: "memcached", probe: .memcached, answers: ["", "VERSION 1.6\r\n"], end: "passed"),
        Row(testDescription: "ftp", probe: .ftp, answers: ["220-a\r\n220 b\r\n"], end: "passed"),
        Row(testDescription: "imap", probe: .imap, answers: ["* OK ready\r\n"], end: "passed"),
        Row(
            testDescription: "pop3", probe: .pop3, answers: ["-ERR no\r\n"], end: "expected '+OK', got '-ERR no\\r\\n'"),
    ]

    /// Characters up to U+00FF are bytes.
    private static func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

    /// Speaks both parts.
    ///
    /// - Parameter pieces: of how many bytes the target's words come; `cut`: in two, there.
    private func run(_ row: Row, pieces: (Int) -> [Range<Int>]) throws -> (end: String, note: String) {
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(row.probe)))
        var action = matcher.begin()
        var spoken = 0
        var waiting = Self.bytes(row.answers[0])
        while true {
            switch action {
            case .passed: return ("passed", matcher.note)
            case .failed(let finding): return (finding.text, matcher.note)
            case .say:
                #expect(!matcher.words.isEmpty)
                spoken += 1
                waiting = row.answers.count > spoken ? Self.bytes(row.answers[spoken]) : []
                action = matcher.said()
            case .hear:
                let all = waiting
                waiting = []
                var isTaken = true
                for piece in pieces(all.count) where action == .hear {
                    action = matcher.heard(Array(all[piece]).span)
                    isTaken = false
                }
                if isTaken { return (matcher.timedOut().text, matcher.note) }
            }
        }
    }

    @Test("the end is the same, however the answers are cut", arguments: rows)
    func ends(row: Row) throws {
        let whole = try run(row) { $0 == 0 ? [] : [0..<$0] }
        #expect(whole.end == row.end)
        #expect(whole.note == row.note)
        // A refusal is told with what had come by then.
        let expected = row.end.prefix { $0 != "," }
        let single = try run(row) { count in (0..<count).map { $0..<$0 + 1 } }
        #expect(single.end.hasPrefix(expected))
        let longest = row.answers.map(\.unicodeScalars.count).max() ?? 0
        for cut in 1..<max(2, longest) {
            let parts = try run(row) { count in count <= cut ? (count == 0 ? [] : [0..<count]) : [0..<cut, cut..<count]
            }
            #expect(parts.end.hasPrefix(expected), "cut at \(cut)")
            #expect(parts.note == row.note)
        }
    }

    @Test(
        "what is said",
        arguments: [
            (ScriptProbe.Dialogue.redis(password: nil), "*1\r\n$4\r\nPING\r\n"),
            (.redis(password: "p\r\nFLUSHALL"), "*2\r\n$4\r\nAUTH\r\n$11\r\np\r\nFLUSHALL\r\n"),
            (.memcached, "version\r\n"), (.steps([.send("a\0b"), .expect("c")]), "a\0b"),
            (
                .postgresql(user: "u"),
                "\0\0\0\u{35}\0\u{3}\0\0user\0u\0application_name\0Poise-HealthChecker\0\0"
            ),
        ])
    func words(probe: ScriptProbe.Dialogue, words: String) throws {
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(probe)))
        #expect(matcher.begin() == .say)
        #expect(matcher.words == Self.bytes(words))
    }

    @Test(
        "a step receives 16 KiB and not more",
        arguments: [
            .steps([.expect("never")]), .steps([.expectRegex("never")]), .redis(password: nil), .ftp, .mysql(user: nil),
        ] as [ScriptProbe.Dialogue])
    func bounded(probe: ScriptProbe.Dialogue) throws {
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(probe)))
        if matcher.begin() == .say { #expect(matcher.said() == .hear) }
        var count = 0
        var action = ScriptMatcher.Action.hear
        while action == .hear, count < 100_000 {
            action = matcher.heard(Array("2222".utf8).span)
            count += 4
        }
        #expect(count <= ScriptMatcher.stepBytesMax)
        guard case .failed(let finding) = action else {
            Issue.record("not failed")
            return
        }
        #expect(finding.answer.count <= AnswerExcerpt.bytesMax)
    }

    @Test(
        "a target that speaks byte by byte costs about as much as one that does not",
        arguments: [
            (.steps([.expect("never")]), "", "2"), (.steps([.expectRegex("ne+ver")]), "", "2"),
            (.redis(password: nil), "", "2"), (.ftp, "", "220-\n"),
            (.ftp, "", "220-" + String(repeating: "x", count: 999) + "\n"), (.pop3, "", "+OK no end "),
            (.mysql(user: nil), "\u{FC}\u{3F}\0\0", "x"),
            // Its messages are gone through again with each one, and there may be 200.
            (.postgresql(user: "p"), "R\0\0\0\u{8}\0\0\0\0", "S\0\0\0\u{6}a\0"),
        ] as [(ScriptProbe.Dialogue, String, String)])
    func effort(probe: ScriptProbe.Dialogue, start: String, words: String) throws {
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(probe)))
        if matcher.begin() == .say { #expect(matcher.said() == .hear) }
        let (first, rest) = (Self.bytes(start), Self.bytes(words))
        var (action, count) = (ScriptMatcher.Action.hear, 0)
        while action == .hear, count < 20_000 {
            let byte = count < first.count ? first[count] : rest[(count - first.count) % rest.count]
            action = matcher.heard([byte].span)
            count += 1
        }
        #expect(count > 1000)
        if case .postgresql = probe { return #expect(matcher.bytesLookedAt < 500 * 1000) }
        // Once over, twice for what doubles, and the looks at the first pieces.
        #expect(matcher.bytesLookedAt <= 3 * count + 200, "\(matcher.bytesLookedAt) for \(count)")
    }

    @Test("what a pattern matches is found when the target pauses, at the latest")
    func pauses() throws {
        var matcher = ScriptMatcher(
            try Dialogue(ScriptProbe(.steps([.expectRegex("> $"), .send("x"), .expectRegex("ok")]))))
        #expect(matcher.begin() == .hear && !matcher.hasUnseen)
        for byte in Self.bytes(String(repeating: "-", count: 99) + "> ") {
            #expect(matcher.heard([byte].span) == .hear)
        }
        #expect(matcher.hasUnseen && matcher.lookAgain() == .say)
        #expect(matcher.said() == .hear && !matcher.hasUnseen)
        #expect(
            matcher.heard(Array("o".utf8).span) == .hear && !matcher.hasUnseen, "the first pieces are searched at once")
        #expect(matcher.heard(Array("k".utf8).span) == .passed)
    }

    @Test("a target that closes, one that is silent, and a pattern that would never end")
    func otherEnds() throws {
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(.steps([.send("a"), .expect("b")]))))
        #expect(matcher.begin() == .say && matcher.said() == .hear)
        #expect(matcher.closed().text == "step 2: expected 'b', got nothing and the end of the connection")
        #expect(matcher.timedOut().text == "step 2: expected 'b', got nothing" && !matcher.hasAnswer)
        #expect(matcher.heard(Array("x".utf8).span) == .hear)
        #expect(matcher.timedOut().text == "step 2: expected 'b', got 'x'" && matcher.hasAnswer)
        var costly = ScriptMatcher(try Dialogue(ScriptProbe(.steps([.expectRegex("^(a+)+$")]))))
        #expect(costly.begin() == .hear)
        guard case .failed(let finding) = costly.heard(([UInt8](repeating: 0x61, count: 5_000) + [0x21]).span) else {
            Issue.record("not failed")
            return
        }
        #expect(finding.cause == .tooCostly)
    }

    @Test("random bytes never hang or trap, and end at the latest with the bound", arguments: 0..<200 as Range<UInt64>)
    func random(seed: UInt64) throws {
        var random = Seeded(seed)
        let dialogues = Self.rows.map(\.probe)
        let row = Self.rows[Int(seed) % dialogues.count]
        var matcher = ScriptMatcher(try Dialogue(ScriptProbe(row.probe)))
        var action = matcher.begin()
        var heard = 0
        while heard < 1_000_000 {
            switch action {
            case .say: action = matcher.said()
            case .hear:
                // An answer with some bits turned over, or noise.
                var bytes = Self.bytes(row.answers.randomElement(using: &random) ?? "")
                if bytes.isEmpty { bytes = [UInt8(truncatingIfNeeded: random.next())] }
                let place = Int(random.next() % UInt64(bytes.count))
                bytes[place] ^= 1 << UInt8(random.next() % 8)
                heard += bytes.count
                action = matcher.heard(bytes.span)
            case .passed, .failed: return
            }
        }
        Issue.record("seed \(seed): no end")
    }
}
