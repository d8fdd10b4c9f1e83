import PoiseHealth
import PoiseModel
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
}
