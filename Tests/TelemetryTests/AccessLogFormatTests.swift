import PoiseHTTP
import PoiseLive
import PoiseModel
import PoisePackets
import PoiseProxy
import Testing

@testable import PoiseTelemetry

@Suite("Access log lines")
struct AccessLogFormatTests {
    @Test("JSON has every field under its name")
    func json() {
        let house = House()
        var names = LogNames()
        names.adopt(house.snapshot)
        let group = house.snapshot.groups[0]
        let record = AccessRecord.sample(
            listener: house.listener.counters.id, rule: house.listener.ruleCounters[1].id, group: group.counters.id,
            target: group.targets[0].counters.id, version: .http2, tls: .tls13)
        #expect(
            record.line(.json, names: names)
                == #"{"time":"2025-11-20T23:20:40.123Z","client":"192.0.2.1","method":"GET","host":"shop.test","#
                + #""path":"/a","query":"b=c","protocol":"HTTP/2.0","tls":"TLSv1.3","status":200,"reason":"answered","#
                + #""explanation":"answered by the target","listener":"web","rule":"default","group":"api","#
                + #""target":"10.0.0.1:80","tries":1,"bytes_in":7,"bytes_out":1024,"wait_us":12,"target_us":843,"#
                + #""total_us":901,"request_id":"0123456789abcdef00000000000000ff"}"# + "\n")
    }

    @Test("what there was not is null, and a refusal says what is wrong")
    func refused() {
        let record = AccessRecord.sample(
            status: 400, reason: .refusedRequest, refusal: .bareLF, targetMicroseconds: -1)
        let line = record.line(.json, method: [], host: [], path: [])
        #expect(!line.contains("tls"), "a field of those that have it")
        for part in [
            #""protocol":null,"#,
            #""method":null,"host":null,"path":null,"#, #""reason":"refused_request","#, #""refusal":"bare_lf","#,
            #""rule":null,"group":null,"target":null,"#, #""target_us":null,"#,
        ] {
            #expect(line.contains(part), "\(part) in \(line)")
        }
    }

    @Test(
        "the path of a request target",
        arguments: [
            ("/", #""path":"/","protocol""#), ("/a?", #""path":"/a","query":"","protocol""#),
            ("http://h.test/x?y", #""path":"/x","query":"y","protocol""#), ("*", #""path":"*","protocol""#),
        ])
    func path(target: String, expected: String) {
        #expect(AccessRecord.sample().line(.json, path: Array(target.utf8)).contains(expected))
    }

    @Test(
        "JSON escapes what could end a string, move a cursor or is no UTF-8",
        arguments: [
            (Array("\"\\".utf8), #"\"\\"#), ([0x0A, 0x0D, 0x09], #"\n\r\t"#),
            ([0x00, 0x1B, 0x7F], #"\u0000\u001b\u007f"#),
            ([0xC2, 0x9B], #"\u009b"#), (Array("ü€😀".utf8), "ü€😀"), ([0xFF, 0xC3], "\u{FFFD}\u{FFFD}"),
            ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0x61, 0xE2, 0x82], "a\u{FFFD}\u{FFFD}"),
        ] as [([UInt8], String)])
    func escapes(bytes: [UInt8], expected: String) {
        let line = AccessRecord.sample().line(.json, host: bytes, requestID: bytes)
        #expect(line.contains("\"host\":\"\(expected)\","))
        #expect(line.hasSuffix("\"request_id\":\"\(expected)\"}\n"))
    }

    @Test(
        "hostile bytes in every text leave one line of printable characters", arguments: 0...255 as ClosedRange<UInt8>)
    func oneLine(byte: UInt8) {
        let hostile: [UInt8] = [byte, 0x0A, byte, 0x1B, 0x5B, 0x33, 0x31, 0x6D, 0x22, 0x7D, byte]
        var fields = ProxyProtocolFields()
        (fields.authority, fields.uniqueID) = (hostile, hostile)
        for format in LogSettings.Format.allCases {
            let line = AccessRecord.sample().line(
                format, client: hostile, method: hostile, host: hostile, path: hostile, requestID: hostile,
                announced: fields.encoded)
            #expect(line.last == "\n")
            #expect(
                line.dropLast().unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) },
                "\(format): \(line.debugDescription)")
            if format == .console { #expect(line.utf8.dropLast().allSatisfy { $0 < 0x7F }) }
        }
    }

    @Test("what a PROXY header said stands under names of its own, and nothing where there was none")
    func announced() {
        var fields = ProxyProtocolFields()
        fields.authority = Array("shop.test".utf8)
        fields.uniqueID = Array("a b\"\u{1B}".utf8)
        fields.tls = ProxyProtocolFields.TLS(flags: [.secured, .certificateOnConnection], isVerified: true)
        fields.tls?.version = Array("TLSv1.3".utf8)
        fields.tls?.commonName = Array("ann".utf8)
        fields.awsEndpoint = Array("vpce-1".utf8)
        fields.azureLink = 7
        fields.googleConnection = .max
        let record = AccessRecord.sample()
        #expect(
            record.line(.json, announced: fields.encoded).contains(
                "\"client\":\"192.0.2.1\",\"proxy_protocol\":{\"authority\":\"shop.test\","
                    + "\"unique_id\":\"a b\\\"\\u001b\",\"tls\":\"TLSv1.3\",\"client_certificate\":\"verified\","
                    + "\"client_name\":\"ann\",\"aws_vpce_id\":\"vpce-1\",\"azure_link_id\":\"7\","
                    + "\"gcp_psc_connection_id\":\"18446744073709551615\"},\"method\":"))
        #expect(
            record.line(.console, announced: fields.encoded).contains(
                "00ff, authority shop.test, unique_id a\\x20b\"\\x1b, tls TLSv1.3, client_certificate verified, "
                    + "client_name ann, aws_vpce_id vpce-1, azure_link_id 7, gcp_psc_connection_id "
                    + "18446744073709551615: "))
        #expect(!record.line(.json).contains("proxy_protocol") && !record.line(.console).contains("authority"))
        fields = ProxyProtocolFields()
        fields.tls = ProxyProtocolFields.TLS(flags: [], isVerified: false)
        #expect(
            record.line(.json, announced: fields.encoded).contains(
                "\"proxy_protocol\":{\"tls\":\"no\",\"client_certificate\":\"none\"}"))
    }

    @Test("the console form tells the same in words")
    func console() {
        let house = House()
        var names = LogNames()
        names.adopt(house.snapshot)
        let group = house.snapshot.groups[0]
        let record = AccessRecord.sample(
            listener: house.listener.counters.id, rule: house.listener.ruleCounters[0].id, group: group.counters.id,
            target: group.targets[0].counters.id, status: 502, reason: .targetClosed, version: .http10, tls: .tls12)
        #expect(
            record.line(.console, names: names)
                == "2025-11-20 23:20:40.123Z 192.0.2.1 502 GET shop.test/a?b=c HTTP/1.0 TLSv1.2 -> api 10.0.0.1:80 in 901 us "
                + "(wait 12, target 843) received 7 B, sent 1024 B, tries 1, listener web, rule api, "
                + "id 0123456789abcdef00000000000000ff: the target closed before its answer was complete\n")
        #expect(record.line(.console, isColored: true, names: names).contains(" \u{1B}[31m502\u{1B}[0m GET "))
    }

    @Test(
        "times before 1970, at leap days and at ends of years",
        arguments: [
            (-1_000_000, "1969-12-31T23:59:59.999Z"), (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999_000_000, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func time(nanoseconds: Int64, expected: String) {
        var time = UTCText()
        var text: [UInt8] = []
        time.append(nanoseconds, to: &text)
        #expect(String(decoding: text, as: UTF8.self) == expected)
        // The second that a nanosecond before 1970 lies in is the one before.
        #expect(UTCText.day((nanoseconds - (nanoseconds < 0 ? 999_999_999 : 0)) / 1_000_000_000) == expected.prefix(10))
    }
}

@Suite("Names in the access log")
struct LogNamesTests {
    @Test("an object that is gone keeps its name, and nobody else gets it")
    func retired() {
        let (old, new) = (House(groups: ["old"]), House(groups: ["new"]))
        var names = LogNames()
        names.adopt(old.snapshot)
        names.adopt(new.snapshot)
        let (gone, present) = (old.snapshot.groups[0].counters.id, new.snapshot.groups[0].counters.id)
        #expect(gone != present)
        #expect(names.text(gone) == "old")
        #expect(names.text(present) == "new")
    }

    @Test("the names of removed objects are bounded, the oldest go first")
    func bounded() {
        var names = LogNames(retiredMax: 10)
        let houses = (0..<50).map { House(groups: ["g\($0)"]) }
        for house in houses { names.adopt(house.snapshot) }
        let kept = houses.dropLast().filter { names.text($0.snapshot.groups[0].counters.id) != nil }
        #expect(kept.count <= 10)
        #expect(names.text(houses[49].snapshot.groups[0].counters.id) == "g49")
        #expect(names.text(houses[0].snapshot.groups[0].counters.id) == nil)
    }

    @Test("a record of an object whose name is forgotten says so")
    func forgotten() {
        let line = AccessRecord.sample(group: .max >> 1).line(.console)
        #expect(line.contains("-> (removed) in"))
    }
}
