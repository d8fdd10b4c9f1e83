import PoiseHealth
import PoiseModel
import PoiseRegex
import Testing

@Suite("Probe matcher: status and body")
struct ProbeMatcherTests {
    private func matcher(_ ranges: [ClosedRange<Int>] = [200...399], contains text: String? = nil) -> ProbeMatcher {
        var probe = HTTPProbe()
        (probe.matcher, probe.bodyContains) = (ranges, text)
        return ProbeMatcher(probe)
    }

    @Test(
        "accepts the statuses of its ranges",
        arguments: [(199, false), (200, true), (299, true), (300, false), (403, false), (404, true), (405, false)])
    func statuses(status: Int, accepted: Bool) {
        let verdict = matcher([200...299, 404...404]).status(status)
        #expect(verdict == (accepted ? .succeeded : .failed(.responseMismatch)))
    }

    @Test("waits for the body only where a text is wanted and the status fits")
    func waits() {
        #expect(matcher(contains: "ok").status(200) == .undecided)
        #expect(matcher(contains: "ok").status(500) == .failed(.responseMismatch))
        #expect(matcher(contains: "").status(200) == .succeeded)
    }

    @Test("finds every text of a and b in every body, however it is cut in two", arguments: 1...4)
    func exhaustive(length: Int) {
        func words(_ length: Int) -> [[UInt8]] {
            (0..<1 << length).map { bits in (0..<length).map { bits >> $0 & 1 == 1 ? 0x61 : 0x62 } }
        }
        for text in words(length) {
            let fresh = matcher(contains: String(decoding: text, as: UTF8.self))
            for body in (0...7).flatMap(words) {
                let contains =
                    body.count >= length && (0...body.count - length).contains { Array(body[$0..<$0 + length]) == text }
                for cut in 0...body.count {
                    var matcher = fresh
                    var verdict = matcher.body(Array(body[..<cut]).span)
                    if verdict == .undecided { verdict = matcher.body(Array(body[cut...]).span) }
                    if verdict == .undecided { verdict = matcher.end() }
                    guard verdict == (contains ? .succeeded : .failed(.bodyMismatch)) else {
                        Issue.record("\(text) in \(body) cut at \(cut): \(verdict)")
                        return
                    }
                }
            }
        }
    }

    @Test("looks at 64 KiB and not at one byte more", arguments: [(65_532, true), (65_533, false)])
    func bound(before: Int, found: Bool) {
        for chunk in [1_000, 65_536, 100_000] {
            var matcher = matcher(contains: "done")
            let body = Array(repeating: UInt8(0x64), count: before) + Array("done".utf8)
            var verdict = ProbeMatcher.Verdict.undecided
            var offset = 0
            while verdict == .undecided, offset < body.count {
                verdict = matcher.body(Array(body[offset..<min(offset + chunk, body.count)]).span)
                offset += chunk
            }
            #expect(verdict == (found ? .succeeded : .failed(.bodyMismatch)))
        }
    }

    private func matching(_ pattern: String) throws -> ProbeMatcher {
        ProbeMatcher(HTTPProbe(), pattern: try Pattern(pattern))
    }

    @Test(
        "a pattern is found however the body is cut, and only what no further byte undoes is found early",
        arguments: [
            ("load: [0-9]+;", "a load: 17; b", true), ("^ok$", "ok", true), ("^ok$", "okay", false), ("b$", "ab", true),
            ("b$", "abc", false), ("(?s)a.*z", "a\n\nz", true), ("x", "", false), ("^$", "", true),
        ])
    func patterns(pattern: String, body: String, found: Bool) throws {
        let bytes = Array(body.utf8)
        for cut in 0...bytes.count {
            var matcher = try matching(pattern)
            #expect(matcher.status(200) == .undecided)
            var verdict = matcher.body(Array(bytes[..<cut]).span)
            if verdict == .undecided { verdict = matcher.body(Array(bytes[cut...]).span) }
            if verdict == .undecided { verdict = matcher.end() }
            #expect(verdict == (found ? .succeeded : .failed(.bodyMismatch)), "cut at \(cut)")
        }
    }

    @Test("a pattern looks at 64 KiB, and no search of it goes on for ever")
    func patternBounds() throws {
        var matcher = try matching("done")
        var verdict = ProbeMatcher.Verdict.undecided
        for _ in 0..<65_536 where verdict == .undecided { verdict = matcher.body([0x64].span) }
        #expect(verdict == .failed(.bodyMismatch))
        var late = try matching("done")
        #expect(late.body([UInt8](repeating: 0x64, count: 65_532).span) == .undecided)
        #expect(late.body(Array("done".utf8).span) == .succeeded)
        var costly = try matching("^(a+)+$")
        #expect(costly.body(([UInt8](repeating: 0x61, count: 30_000) + [0x21]).span) == .tooCostly)
    }
}
