import PoiseHTTP
import PoiseHealth
import PoiseLoop
import PoiseModel

/// A probe's connection over HTTP/2: one request, and the frames around its ``ProbeAnswer``.
///
/// All that is to be said at first (the preface, our settings, the request) leaves at once: nothing of the target's is
/// waited for before. A new machine for each probe, as a connection's compression begins anew with it too.
final class ProbeStream {
    /// What is to be sent, appended by the machine and emptied by the owner.
    var output: [UInt8] = []
    /// Unread bytes at the front of the buffer, as ``read(_:end:now:into:)`` left them.
    private(set) var kept = 0
    /// With which code the target said that it takes no more requests.
    private(set) var goAway: HTTP2ErrorCode?
    private var machine = HTTP2Connection(role: .client, settings: settings)
    private let workspace: RawCell<HTTP2Workspace>
    private let slot: Int
    private var headText: [UInt8] = []
    private var hasReadFrames = false
    private var isOver = false

    /// Unsent output with which nothing more is read: of a target that asks much and reads nothing.
    static var outputBytesMax: Int { 16 * 1024 }

    private static var settings: HTTP2LocalSettings {
        var settings = HTTP2LocalSettings()
        settings.streamsMax = 1
        settings.streamWindowBytesMax = settings.streamWindowBytes
        settings.windowBytesMax = settings.streamWindowBytes
        settings.headListBytesMax = ProbeAnswer.limits.headBytesMax
        settings.fieldCountMax = ProbeAnswer.limits.fieldCountMax
        return settings
    }

    /// - Parameters:
    ///   - request: its head, as HTTP/1.1 has it.
    ///   - content: at most 16 KiB.
    ///   - workspace: of the loop. Nothing stays in it between two calls.
    init(_ request: [UInt8], content: [UInt8] = [], isHTTPS: Bool, workspace: RawCell<HTTP2Workspace>) {
        self.workspace = workspace
        machine.start(workspace: &workspace.value, to: &output)
        guard let slot = machine.openStream() else { preconditionFailure("a new connection takes one stream") }
        self.slot = slot
        let isSent = machine.sendHead(
            slot: slot, request.span, endStream: content.isEmpty, isHTTPS: isHTTPS, workspace: &workspace.value,
            to: &output)
        precondition(isSent, "the settings allow no request without the form of one")
        guard !content.isEmpty else { return }
        precondition(content.count <= machine.sendRoom(slot: slot), "less than every peer takes at first")
        machine.sendDataHeader(slot: slot, count: content.count, endStream: true, to: &output)
        output += content
    }

    /// Takes the bytes `0..<end` of `buffer`; ``kept`` of them are moved to the front and must be there again next time.
    func read(_ buffer: Buffer, end: Int, now: MonotonicTime, into answer: ProbeAnswer) -> ProbeAnswer.Progress {
        var position = 0
        while !answer.isComplete {
            let event = machine.next(
                buffer.bytes(0, end), position: &position, end: end, now: now, workspace: &workspace.value, to: &output)
            if event == .needMore { break }
            take(event, buffer, end, answer)
            hasReadFrames = true
        }
        kept = end - position
        if kept > 0, position > 0 { buffer.move(position, end, to: buffer, at: 0) }
        return answer.progress
    }

    /// The target has sent its last byte, and owed the end of its answer.
    func endOfStream(_ answer: ProbeAnswer) -> ProbeAnswer.Progress {
        isOver = true
        if let goAway { answer.fail(.connectionFailed, .goAway(goAway)) }
        // The end of a connection ends no answer.
        return answer.endOfStream(isTruncated: true)
    }

    /// Takes leave: no answer is waited for any more.
    func close() {
        guard !isOver else { return }
        isOver = true
        machine.release(slot: slot, workspace: &workspace.value, to: &output)
        machine.goAway(final: true, workspace: &workspace.value, to: &output)
    }

    private func take(_ event: HTTP2Connection.Event, _ buffer: Buffer, _ end: Int, _ answer: ProbeAnswer) {
        switch event {
        case .needMore, .replied, .writable, .settingsChanged, .pingAcknowledged, .priorityChanged, .streamRefused:
            break
        case .head(_, let endsStream):
            headText.removeAll(keepingCapacity: true)
            workspace.value.appendHeadText(to: &headText)
            answer.takeHead(headText)
            if endsStream { answer.takeEnd() }
        case .headTooLarge(_, _, let fault): answer.fail(.malformedResponse, .http2(fault))
        case .data(_, let range, let endsStream):
            answer.takeContent(buffer, range.start, range.end)
            machine.consumed(slot: slot, range.count, workspace: &workspace.value, to: &output)
            if endsStream { answer.takeEnd() }
        case .trailers:
            headText.removeAll(keepingCapacity: true)
            workspace.value.appendHeadText(to: &headText)
            answer.takeTrailers(headText)
        case .streamReset(_, let code):
            answer.fail(.connectionFailed, goAway.map(ProbeResult.Detail.goAway) ?? .streamReset(code))
        case .streamFailed(_, _, let fault): answer.fail(.malformedResponse, .http2(fault))
        case .goAway(_, let code): goAway = code
        case .refusedConnection(_, let fault):
            isOver = true
            answer.fail(.malformedResponse, isHTTP1(buffer, end) ? .onlyHTTP1 : .http2(fault))
        }
    }

    /// The first words are of an answer in HTTP/1.
    private func isHTTP1(_ buffer: Buffer, _ end: Int) -> Bool {
        let sign = Array("HTTP/1.".utf8)
        return !hasReadFrames && end >= sign.count && sign.indices.allSatisfy { buffer[$0] == sign[$0] }
    }
}
