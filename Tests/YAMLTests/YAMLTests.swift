import PoiseYAML
import Testing

@Suite("YAML documents as trees")
struct YAMLDocumentTests {
    @Test("collections, styles and escapes are read as written")
    func reads() throws {
        let text = """
            plain: some text
            "quoted": 'it''s'
            escaped: "a\\tb\\u00e9"
            literal: |
              one
                two
            folded: >-
              one
              two
            list: [a, {b: c}]
            block:
            - x
            -
              y: z
            empty:
            tilde: ~
            quotedNull: "null"
            """
        #expect(
            try show(text) == """
                {plain: some text, quoted: 'it's', escaped: 'a\tbé', literal: 'one
                  two
                ', folded: 'one two', list: [a, {b: c}], block: [x, {y: z}], empty: null, tilde: null, quotedNull: 'null'}
                """)
    }

    @Test("every node has its place, counted in characters")
    func places() throws {
        let root = try #require(parse("ключ: [ä, \"b c\"]\nnext:\n  deep: 世界\n").root)
        guard case .mapping(let entries) = root.content, case .sequence(let items) = entries[0].value.content,
            case .mapping(let inner) = entries[1].value.content
        else {
            Issue.record("not the expected tree")
            return
        }
        #expect(text(entries[0].keyRange) == "1:1-1:5")
        #expect(text(entries[0].value.range) == "1:7-1:17")
        #expect(text(items[0].range) == "1:8-1:9")
        #expect(text(items[1].range) == "1:11-1:16")
        #expect(text(entries[1].value.range) == "3:3-3:11")
        #expect(text(inner[0].value.range) == "3:9-3:11")
        #expect(root.range.file == 7)
    }

    @Test("a byte order mark and the line ends of other systems change no place", arguments: ["\n", "\r\n", "\r"])
    func lineEnds(lineEnd: String) throws {
        let source = SourceText([0xEF, 0xBB, 0xBF] + Array("a: 1\(lineEnd)b:\(lineEnd)  c: 2\(lineEnd)".utf8))
        let root = try #require(YAMLDocument(parsing: source).root)
        guard case .mapping(let entries) = root.content, case .mapping(let inner) = entries[1].value.content else {
            Issue.record("not the expected tree")
            return
        }
        #expect(text(inner[0].keyRange) == "3:3-3:4")
        #expect(source.line(1) == "a: 1")
        #expect(source.line(3) == "  c: 2")
        #expect(source.line(99) == "")
    }

    @Test("aliases repeat their anchor, and keep its place")
    func aliases() throws {
        let root = try #require(parse("a: &x [1, 2]\nb: *x\n").root)
        guard case .mapping(let entries) = root.content else { return }
        #expect(show(entries[1].value) == "[1, 2]")
        #expect(entries[1].value.range == entries[0].value.range)
    }

    @Test(
        "a merge puts in what the mapping does not have",
        arguments: [
            ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "{a: {x: 1, y: 2}, b: {x: 1, y: 3}}"),
            ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", "{a: {x: 1, y: 2}, b: {y: 3, x: 1}}"),
            ("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*b, *a]}", "{a: {x: 1}, b: {x: 2, z: 3}, c: {x: 2, z: 3}}"),
            ("a: &a {<<: {x: 1}}\nb: {<<: *a}", "{a: {x: 1}, b: {x: 1}}"),
            ("a: {\"<<\": 1}", "{a: {<<: 1}}"),
        ])
    func merges(text: String, expected: String) throws {
        #expect(try show(text) == expected)
    }

    @Test(
        "what keeps the rest readable is collected",
        arguments: [
            ("a: 1\nb: 2\na: 3\na: 4", ["3:1 the key 'a' is written twice", "4:1 the key 'a' is written twice"]),
            (
                "a: !!str 1\nb: !x y",
                ["1:4 the tag tag:yaml.org,2002:str is not used here", "2:4 the tag !x is not used here"]
            ),
            ("? [a]\n: b", ["1:3 a key must be a plain text, not a list or a mapping"]),
            ("a: {<<: 1}", ["1:5 '<<' takes a mapping, or a list of mappings"]),
        ])
    func collects(text: String, problems: [String]) throws {
        let document = parse(text)
        #expect(document.root != nil)
        #expect(document.problems.map { "\($0.range.start.line):\($0.range.start.column) \($0.problem)" } == problems)
    }

    @Test("a text without a node is no document and no problem", arguments: ["", "\n", "# a comment\n", "---\n# x\n"])
    func empty(text: String) {
        let document = parse(text)
        if case .scalar(let scalar)? = document.root?.content {
            #expect(scalar.isNull)
        } else {
            #expect(document.root == nil)
        }
        #expect(document.problems.isEmpty)
    }
}

@Suite("Bounds of YAML documents")
struct YAMLBoundsTests {
    @Test("an alias bomb is refused, and cheaply")
    func bomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let alias = "*a\(level - 1)"
            text += "a\(level): &a\(level) [\(Array(repeating: alias, count: 10).joined(separator: ", "))]\n"
        }
        let document = parse(text)
        #expect(document.root == nil)
        #expect(document.problems.last?.code == .tooLarge)
        #expect(document.problems.last?.range.start.line == 6)
    }

    @Test("merges count too")
    func mergeBomb() {
        var limits = YAMLLimits()
        limits.nodesMax = 100
        let base = (0..<30).map { "k\($0): v" }.joined(separator: ", ")
        let document = parse("a: &a {\(base)}\nb: {<<: *a}\nc: {<<: *a}\n", limits: limits)
        #expect(document.problems.last?.code == .tooLarge)
    }

    @Test("depth is bounded, in both styles and through aliases", arguments: [64, 65])
    func depth(levels: Int) {
        let flow = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        let block = (0..<levels).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
        // Two levels of their own, and those below the anchor.
        let alias =
            "a: &a " + String(repeating: "[", count: levels - 2) + String(repeating: "]", count: levels - 2)
            + "\nb: [*a]"
        for text in [flow, block, alias] {
            let problems = parse(text).problems
            #expect(problems.map(\.code) == (levels > 64 ? [.tooLarge] : []))
        }
        #expect(parse(String(repeating: "[", count: 200_000)).problems.last?.code == .tooLarge)
    }

    @Test("bytes and nodes are bounded")
    func size() {
        var limits = YAMLLimits()
        limits.bytesMax = 10
        #expect(parse("a: 1234567", limits: limits).problems.isEmpty)
        #expect(parse("a: 12345678", limits: limits).problems.map(\.code) == [.tooLarge])
        limits = YAMLLimits()
        limits.nodesMax = 5
        #expect(parse("[a, b, c, d]", limits: limits).problems.isEmpty)
        #expect(parse("[a, b, c, d, e]", limits: limits).problems.map(\.code) == [.tooLarge])
    }

    @Test(
        "bytes that are no UTF-8 text are refused where they stand",
        arguments: [
            ([0x61, 0x3A, 0x20, 0xC3, 0x28], "1:5 the file is not UTF-8 here"),
            ([0x61, 0x3A, 0x0A, 0xFF], "2:1 the file is not UTF-8 here"),
            ([0x61, 0x3A, 0x20, 0x00], "1:4 a control character stands here"),
            ([0xC3, 0xA4, 0x3A, 0x20, 0x07], "1:4 a control character stands here"),
            ([0xFF, 0xFE, 0x61, 0x00], "1:1 the file is UTF-16"),
            ([0xFE, 0xFF, 0x00, 0x61], "1:1 the file is UTF-16"),
        ] as [([UInt8], String)])
    func bytes(bytes: [UInt8], problem: String) {
        let document = YAMLDocument(parsing: SourceText(bytes))
        #expect(document.root == nil)
        #expect(document.problems.map { "\($0.range.start.line):\($0.range.start.column) \($0.problem)" } == [problem])
    }
}

@Suite("Advice for YAML that cannot be read")
struct SyntaxAdviceTests {
    @Test(
        "a value that needs quotes is shown with them",
        arguments: [
            ("host: *.shop.test", "*.shop.test"), ("{ host: *.x, b: c }", "*.x"), ("[*]", "*"), ("a: &x.y", "&x.y"),
            ("address: [::]:443", "[::]:443"), ("{ address: [::]:443 }", "[::]:443"), ("a: [[::1]:80, b]", "[::1]:80"),
            ("a: [[::1]:80]", "[::1]:80"), ("- a\n- [::1]:80", "[::1]:80"), ("{ address: :8080 }", ":8080"),
            ("[:8080]", ":8080"), ("{ x: ${DIR}/y }", "${DIR}/y"), ("[${A}, b]", "${A}"),
            ("{ regex: a{1,3} }", "a{1,3}"),
            ("{a: b{1}}", "b{1}"), ("a: @b c", "@b"), ("a: `b`", "`b`"), ("a: %b", "%b"), ("a: b: c", "b: c"),
            ("a: \"b\":80", "b:80"), ("a: [b]c", "[b]c"), ("x: { host: #{host}, y: z }", "#{host}"),
        ])
    func quotes(text: String, value: String) throws {
        let problem = try #require(parse(text).problems.first)
        #expect(problem.fix == "put it in quotes: \"\(value)\"")
        // What is underlined is what goes into the quotes.
        let line = Array(SourceText(text).line(Int(problem.range.start.line)).unicodeScalars)
        let underlined = line[(Int(problem.range.start.column) - 1)..<(Int(problem.range.end.column) - 1)]
        #expect(String(String.UnicodeScalarView(underlined)).filter { $0 != "\"" } == value)
    }

    @Test(
        "other mistakes are named",
        arguments: [
            ("a:\n\tb: c", "2:1 a tab cannot indent a line"), ("a: [b, c", "1:4 this '[' is never closed"),
            ("a: [b,", "1:7 the text ends where a value belongs"),
            ("a: [b, c\nd: e", "1:4 this '[' is not closed before line 2"),
            ("a: \"b", "1:4 this quote is never closed"),
            ("a:\n  b: c\n d: e", "3:2 this line is indented by 1 spaces, which fits no line above"),
            ("- a\nb: c", "2:1 a list goes on here, but the line does not start with '- '"),
            ("a: - b", "1:4 a list cannot start behind a key"),
            ("a: \"\\d\"", "1:5 a backslash is special in double quotes"),
            ("a:b\nc: d", "2:2 a mapping cannot start here"), ("a: ]", "1:4 ']' closes nothing that is open"),
            ("a: *b", "1:4 '*b' uses the anchor '&b', and there is none before this line"),
            ("a\n---\nb", "2:1 a second document starts here"),
            ("a: b\nc\n", "2:1 this is neither 'key: value' nor a list item"),
        ])
    func names(text: String, expected: String) throws {
        let problem = try #require(parse(text).problems.first)
        #expect("\(problem.range.start.line):\(problem.range.start.column) \(problem.problem)" == expected)
        #expect(!problem.fix.isEmpty)
    }
}

private func parse(_ text: String, limits: YAMLLimits = YAMLLimits()) -> YAMLDocument {
    YAMLDocument(parsing: SourceText(text), file: 7, limits: limits)
}

private func text(_ range: SourceRange) -> String {
    "\(range.start.line):\(range.start.column)-\(range.end.line):\(range.end.column)"
}

private func show(_ text: String) throws -> String {
    let document = parse(text)
    try #require(document.problems.isEmpty)
    return show(try #require(document.root))
}

private func show(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let scalar): scalar.isNull ? "null" : scalar.isPlain ? scalar.text : "'\(scalar.text)'"
    case .sequence(let items): "[\(items.map(show).joined(separator: ", "))]"
    case .mapping(let entries): "{\(entries.map { "\($0.key): \(show($0.value))" }.joined(separator: ", "))}"
    }
}
