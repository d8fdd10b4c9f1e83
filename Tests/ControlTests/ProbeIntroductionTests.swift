import PoiseHTTP
import PoiseHealth
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseTLS
import Testing

@testable import PoiseControl

@Suite("Probes that begin with a PROXY header")
struct ProbeIntroductionTests {
    @Test("the header says that Poise speaks for itself")
    func bytes() {
        #expect(ProbeRequest.introduction(.v1) == Array("PROXY UNKNOWN\r\n".utf8))
        let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
        #expect(ProbeRequest.introduction(.v2) == signature + [0x20, 0x00, 0x00, 0x00])
    }

    @Test("a header is a part of what a check is: probes with and without it are never one")
    func identity() {
        func spec(_ introduction: ProxyProtocolHeader.Version?) -> ProbeSpec {
            ProbeSpec(
                .ip(IPAddress(v4: 1), port: 80), HealthCheck(), hostHeader: "a", introduction: introduction)
        }
        let all = [spec(nil), spec(.v1), spec(.v2)]
        for (a, one) in all.enumerated() { for (b, other) in all.enumerated() { #expect((one == other) == (a == b)) } }
    }

    static let misread: [(TargetReason, ProbeResult.Detail)] = [
        (.responseMismatch, .status(400)), (.connectionFailed, .closedEarly), (.timeout, .noAnswer),
        (.malformedResponse, .malformed(.badStatusLine)), (.connectionFailed, .system(Errno.connectionReset)),
        (.timeout, .noHandshake), (.tlsFailed, .tls(TLSFailure(.notTLS))),
        (.connectionFailed, .script(ScriptFinding(.closed, expected: "+PONG", answer: []))),
        (.unexpectedAnswer, .script(ScriptFinding(.differs, expected: "+PONG", answer: Array("-ERR".utf8)))),
        (.timeout, .script(ScriptFinding(.late, expected: "+PONG", answer: []))),
    ]
    static let plain: [(TargetReason, ProbeResult.Detail)] = [
        (.responseMismatch, .status(503)), (.bodyMismatch, .body(status: 200)), (.timeout, .noConnection),
        (.connectionRefused, .system(Errno.connectionRefused)),
        (.unexpectedAnswer, .script(ScriptFinding(.tooLong, expected: "+PONG", answer: Array("+".utf8)))),
    ]

    @Test(
        "evidence asks whether the target expects a header, where that may be the cause",
        arguments: [nil, .v1, .v2] as [ProxyProtocolHeader.Version?])
    func evidence(version: ProxyProtocolHeader.Version?) {
        for (rows, isMisread) in [(Self.misread, true), (Self.plain, false)] {
            for (reason, detail) in rows {
                var result = ProbeResult(.failed(reason), detail, startedAt: .zero, duration: .milliseconds(2))
                let without = result.evidence
                result.introduction = version
                let hint = version.map { ", behind a PROXY v\($0.rawValue) header: does the target expect one?" } ?? ""
                #expect(result.evidence == without + (isMisread ? hint : ""))
                #expect(Evidence(result).text == result.evidence, "the log and the history ask as well")
            }
        }
        var good = ProbeResult(.succeeded, .status(400), startedAt: .zero, duration: .milliseconds(2))
        good.introduction = version
        #expect(good.evidence == "status 400 after 2 ms")
    }
}
