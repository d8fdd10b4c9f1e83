import PoiseModel
import Testing

@testable import PoiseRouting

@Suite("Globs")
struct GlobTests {
    /// The definition, and nothing else.
    static func naive(_ pattern: Substring, _ text: Substring) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" {
            return naive(pattern.dropFirst(), text) || !text.isEmpty && naive(pattern, text.dropFirst())
        }
        guard let next = text.first, first == "?" || first == next else { return false }
        return naive(pattern.dropFirst(), text.dropFirst())
    }

    @Test("match as the definition says, for every pattern of up to 5 and text of up to 6 characters")
    func exhaustive() {
        let texts = allTexts(over: "ab", lengthMax: 6)
        var differing = 0
        for pattern in allTexts(over: "ab*?", lengthMax: 5) {
            let compiled = GlobPattern(host: Glob(pattern)).bytes
            for text in texts {
                let bytes = utf8(text)
                let matches = GlobPattern.matches(compiled.span, bytes.span, foldBit: 0)
                if matches != Self.naive(pattern[...], text[...]) { differing += 1 }
            }
        }
        #expect(differing == 0)
    }

    @Test("answer in bounded steps where a backtracking matcher would take years")
    func bounded() {
        let pattern = GlobPattern(path: Glob(String(repeating: "a*", count: 100) + "b*c")).bytes
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 8192) + utf8("c")
        let matches = GlobPattern.matches(pattern.span, text.span, foldBit: 0)
        #expect(!matches)
    }

    @Test(
        "of paths take the normal form of paths",
        arguments: [
            ("/a*", "/a*"), ("/%7euser/?", "/~user/?"), ("/caf\u{E9}", "/caf%C3%A9"), ("/a%2f*", "/a%2F*"),
            ("/100%", "/100%25"), ("/a b", "/a%20b"), ("/**/x", "/*/x"), ("/%2a", "/%2A"), ("/Case", "/Case"),
        ])
    func pathForm(pattern: String, normal: String) {
        #expect(GlobPattern(path: Glob(pattern)).bytes.text == normal)
    }

    @Test(
        "of hosts lose their case and one trailing dot",
        arguments: [
            ("Shop.Test", "shop.test"), ("*.Shop.Test.", "*.shop.test"), ("[2001:DB8::1]", "[2001:db8::1]"),
            ("*.", "*"),
        ])
    func hostForm(pattern: String, normal: String) {
        #expect(GlobPattern(host: Glob(pattern)).bytes.text == normal)
    }
}
