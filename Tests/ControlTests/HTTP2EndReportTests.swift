import PoiseHTTP
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("What is said of HTTP/2 connections that Poise ended")
struct HTTP2EndReportTests {
    private func lines(_ ends: [(end: HTTP2End, second: Int64)]) -> [String] {
        var lines: [String] = []
        let report = HTTP2EndReport { lines.append($0.line) }
        for (end, second) in ends {
            report.ended(end, at: MonotonicTime(nanoseconds: (second + 100) * 1_000_000_000))
        }
        return lines
    }

    private func client(_ last: UInt8, _ fault: HTTP2Fault = .rapidReset, untold: Int = 0) -> HTTP2End {
        HTTP2End(.client(listener: "web", IPAddress("192.0.2.\(last)")), fault, untold: untold)
    }

    @Test("who, where, for what, and what that means")
    func says() {
        #expect(
            lines([(client(7), 0)]) == [
                "poise: warning: an HTTP/2 connection was ended for what its client did listener=web client=192.0.2.7 "
                    + "reason=rapid_reset explanation=\"it took requests back as fast as it sent them\""
            ])
        #expect(
            lines([(HTTP2End(.target(group: "app", "10.0.0.1:80"), .pingTimeout), 0)]) == [
                "poise: warning: an HTTP/2 connection was ended for what its target did group=app target=10.0.0.1:80 "
                    + "reason=ping_timeout explanation=\"it did not answer a PING within http2.ping_interval\""
            ])
    }

    @Test("each peer and reason once in a minute; what was left out is counted with the next")
    func silence() {
        let said = lines([
            (client(7), 0), (client(7), 1), (client(7, untold: 5), 2), (client(7, .settingsFlood), 3), (client(8), 4),
            (client(7), 59), (client(7), 60), (client(7), 61),
        ])
        #expect(said.count == 4)
        #expect(said[1].contains("settings_flood") && said[1].hasSuffix(" left_out=7"))
        #expect(said[2].contains("192.0.2.8") && !said[2].contains("left_out"))
        #expect(said[3].hasSuffix(" left_out=1"))
    }

    @Test("ten lines in a minute, whoever attacks")
    func bound() {
        let said = lines((0..<200).map { (client(UInt8($0)), 0) } + [(client(1), 60)])
        #expect(said.count == 11)
        #expect(said.last?.hasSuffix(" left_out=190") == true)
    }

    @Test("every fault has words of its own or is one of a malformed message", arguments: HTTP2Fault.allCases)
    func words(fault: HTTP2Fault) {
        let twins = HTTP2Fault.allCases.filter { $0.words == fault.words }
        #expect(!fault.words.isEmpty)
        #expect(
            twins.count == 1 || fault.words == "sent a malformed message" || twins == [.headTooLarge, .tooManyFields])
    }
}
