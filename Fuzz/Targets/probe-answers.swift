// rooms: Model Regex Health
import PoiseHealth
import PoiseModel

/// What targets answer to checks; the first byte chooses the kind of check, the rest is the answer. However it is cut, one
/// verdict; and of an agent's line, what is understood is understood again from how it is shown.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func probeAnswers(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe input(start, count)
    guard let kind = input.first else { return 0 }
    let bytes = Array(input.dropFirst())
    switch Int(kind) % (dialogues.count + 2) {
    case 0: agent(bytes)
    case 1: grpc(bytes)
    case let index: converse(dialogues[index - 2], bytes)
    }
    return 0
}

/// Those that say nothing behind the first thing they hear: what comes before Poise speaks is dropped, so for the others
/// it matters how the answer is cut.
private let dialogues: [(probe: ScriptProbe.Dialogue, mayBeCut: Bool)] = [
    (.ftp, true), (.imap, true), (.pop3, true), (.memcached, true), (.redis(password: nil), true),
    (.steps([.send("hello"), .expect("abab"), .expectHex([0, 1]), .expect("ready")]), true),
    (.steps([.expectRegex("^(a|b)+[0-9]{2}$"), .expect("x")]), false), (.redis(password: "secret"), false),
    (.smtp(helo: "lb.test"), false), (.mysql(user: nil), false), (.mysql(user: "probe"), false),
    (.postgresql(user: nil), false), (.postgresql(user: "probe"), false),
]

private func agent(_ bytes: [UInt8]) {
    let report = AgentReport(parsing: bytes.span)
    precondition((0...AgentReport.weightPercentMax).contains(report.weightPercent ?? 0))
    precondition((0...AgentReport.connectionsMaxMax).contains(report.connectionsMax ?? 0))
    precondition(max(report.remark.utf8.count, report.unknownWord?.utf8.count ?? 0) <= AgentReport.textBytesMax)
    let shown = Array(report.text.utf8)
    var again = AgentReport(parsing: shown.span)
    precondition(again.unknownWord == nil)
    again.unknownWord = report.unknownWord
    precondition(again == report)
}

private func grpc(_ bytes: [UInt8]) {
    let middle = cut(of: bytes)
    let head = Array("content-type: application/grpc\r\n".utf8)
    let (fields, content) = (Array(bytes[..<middle]), Array(bytes[middle...]))
    var (whole, parts) = (GRPCAnswer(), GRPCAnswer())
    whole.head(status: 200, fields: head + fields)
    parts.head(status: 200, fields: head)
    parts.trailers(fields)
    let fits = whole.content(content.span)
    var stillFits = true
    for index in content.indices where stillFits {
        stillFits = parts.content(content.span.extracting(index..<index + 1))
    }
    precondition(fits == stillFits)
    // What was too much is malformed either way; how much of it was kept differs.
    let verdict = whole.end(codes: [0...0])
    precondition(parts.end(codes: [0...0]) == verdict)
    precondition(verdict != .succeeded || whole.serving == 1)
    precondition(whole.message.utf8.count <= 200)
}

private func converse(_ dialogue: (probe: ScriptProbe.Dialogue, mayBeCut: Bool), _ bytes: [UInt8]) {
    guard let script = try? Dialogue(ScriptProbe(dialogue.probe)) else { preconditionFailure("a dialogue of our own") }
    let whole = outcome(of: script, bytes, cutAt: bytes.count)
    let parts = outcome(of: script, bytes, cutAt: cut(of: bytes))
    // Evidence quotes what had come by then.
    precondition(!dialogue.mayBeCut || (whole?.cause, whole?.step) == (parts?.cause, parts?.step), "the cut decided")
}

/// `nil` for a target that passed.
private func outcome(of script: Dialogue, _ bytes: [UInt8], cutAt middle: Int) -> ScriptFinding? {
    var matcher = ScriptMatcher(script)
    var action = matcher.begin()
    var pieces = [bytes[..<middle], bytes[middle...]].filter { !$0.isEmpty }
    while true {
        switch action {
        case .say: action = matcher.said()
        case .hear:
            guard !pieces.isEmpty else { return matcher.closed() }
            let piece = Array(pieces.removeFirst())
            action = matcher.heard(piece.span)
        case .passed: return nil
        case .failed(let finding):
            precondition(!finding.text.isEmpty && finding.text.utf8.count < 1024)
            return finding
        }
    }
}
