import PoiseYAML
import Testing

@Test func probe() {
    for text in ["a: { matcher: 200-299,404 }", "host: #{host}", "a: 1\nhost: *.shop.test\nb: 2", "address: [::]:443", "a:\n - address: [::]:443\n   x: y",
        "x: { address: :8080 }", "a: { x: ${DIR}/y }", "{ regex: a{1,3} }", "a: b: c", "a:\n\tb: c", "a: @x", "a: `x`", "a: %x", "a:b\nc: d", "a: [1,2", "a: \"abc", "a: *x", "a: [:8080]", "a: {b: c", "a: 'x' y", "- a\nb: c", "a: [*]", "x: [[::1]:80]", "x: &a.b c", "x:\n  - [::1]:80", "a: !x", "a:\n  b: 1\n c: 2", "a: \"\\d\"", "a: ]", "a: }","a: |x", "x: { address: [::]:8080 }", "forward: [[::1]:80, 1.2.3.4:80]", "a: - b", "? a\n: b", "key: [a]b", "\u{1}", "x: ${A}/y\nb: [${A}, c]", "a: \"x\"y", "a: { b: *.x }", "when: { host: *.x, b: c }"] {
        let d = YAMLDocument(parsing: SourceText(text))
        print("=====", text)
        for p in d.problems { print(p.problem, p.range.start, p.range.end) }
        if let r = d.root { print(show(r)) }
    }
}
func show(_ n: YAMLNode) -> String {
    switch n.content {
    case .scalar(let s): "\(s.text)|"
    case .sequence(let s): "[" + s.map(show).joined(separator: ", ") + "]"
    case .mapping(let s): "{" + s.map { $0.key + ": " + show($0.value) }.joined(separator: ", ") + "}"
    }
}
