import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoiseRouting

/// Answers that Poise makes itself, and what becomes of the body that they leave unread.
extension Exchange {
    /// Ends with a generated error answer, or with a cut where an answer has begun.
    func fail(_ reason: EndReason) {
        self.reason = reason
        if answerBegan { return cut(reason) }
        dropTarget()
        status = reason == .refusedAnswer ? 502 : refusal?.status ?? reason.status
        if status == 400 || status == 408 || head.method == .connect { keepAlive = false }
        settleBody()
        if reason == .maxForwards { return answerMaxForwards() }
        let (contentType, body) = errorBody(reason, refusal)
        stageGenerated(
            status: status, contentType: contentType, body: body,
            allow: reason == .methodNotAllowed ? Self.allowedMethods : nil)
        flushGenerated()
    }

    static var allowedMethods: String { "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH" }

    /// OPTIONS ends here and says what is possible; TRACE shows the request as it came, less its secrets.
    /// RFC 9110 §9.3.7, §9.3.8
    func answerMaxForwards() {
        if head.method == .trace {
            var body: [UInt8] = []
            let buffer = headBuffer
            body.append(buffer.bytes(head.headStart, head.target.end))
            body.append(text: head.version == .http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n")
            for field in head.fields where !field.id.isSecret {
                body.append(buffer.bytes(field.name.start, field.name.end))
                body.append(text: ": ")
                body.append(buffer.bytes(field.value.start, field.value.end))
                body.append(text: "\r\n")
            }
            body.append(text: "\r\n")
            stageGenerated(status: 200, contentType: "message/http", body: body)
        } else {
            stageGenerated(
                status: 200, contentType: "text/plain", body: [], allow: Self.allowedMethods)
        }
        flushGenerated()
    }

    func generate(
        _ reason: EndReason, status: Int, _ contentType: String, _ body: [UInt8], location: [UInt8]? = nil
    ) {
        self.reason = reason
        self.status = status
        settleBody()
        stageGenerated(status: status, contentType: contentType, body: body, location: location)
        flushGenerated()
    }

    func redirect(_ template: RedirectTemplate) {
        let buffer = headBuffer
        let url = RequestURL(
            scheme: client.scheme, host: buffer.bytes(head.host.start, head.host.end), port: requestPort(buffer),
            path: buffer.bytes(head.path.start, head.path.end), query: buffer.bytes(head.query.start, head.query.end))
        var location: [UInt8] = []
        if template.write(for: url, into: &location) != nil || template.loops(url) { return fail(.redirectLoop) }
        // A template may name the path or the query many times: the answer must still fit into one buffer.
        guard location.count <= Self.locationBytesMax else {
            refusal = Refusal(.uriTooLong)
            return fail(.refusedRequest)
        }
        generate(.redirect, status: template.status, "text/plain; charset=utf-8", [], location: location)
    }

    private static var locationBytesMax: Int { 160 * 1024 }

    /// The port that the client asked for; the scheme's default where it named none.
    func requestPort(_ buffer: Buffer) -> UInt16 {
        let start = head.host.end + 1
        guard start < head.authority.end else { return client.scheme.defaultPort }
        let digits = ByteRange(start..<head.authority.end)
        return decimalValue(buffer.bytes(0, head.headEnd), digits).flatMap { UInt16(exactly: $0) }
            ?? client.scheme.defaultPort
    }

    /// Decides what becomes of a body that nobody will read: a small one is dropped and the connection goes on.
    func settleBody() {
        if clientWait != .none {
            clientWait = .none
            client.cancelTimer()
        }
        guard keepAlive, !requestBody.sourceIsDone else { return }
        // A stream is given up for itself: what is still sent on it concerns no other.
        if client.framesMessages { return keepAlive = false }
        // Who waits for 100 and gets a final answer may or may not send the body. RFC 9110 §10.1.1
        let maySkipBody = head.expectsContinue && requestBody.bytes == 0 && client.unreadCount == 0
        guard !maySkipBody, requestBody.isWorthDropping else { return keepAlive = false }
        switch requestBody.drop(from: client) {
        case .complete, .needInput: break
        default: keepAlive = false
        }
    }

    /// The answer is out; the rest of a dropped body must come as soon as a head would have to.
    func waitForRest() {
        phase = .dropping
        clientWait = .rest
        client.armTimer(at: now + listener.compiled.settings.timeouts.head)
        dropRest()
    }

    func dropRest() {
        switch requestBody.drop(from: client) {
        case .needInput: return
        case .complete: break
        default: keepAlive = false
        }
        conclude(reason)
    }

    func flushGenerated() {
        if phase != .generating { listener.counters.add(ListenerCounter.generated) }
        phase = .generating
        switch client.flushOutput() {
        case .done:
            answerBody.countGenerated(generatedBytes)
            keepAlive && !requestBody.sourceIsDone ? waitForRest() : conclude(reason)
        case .blocked: waitForClient()
        case .failed: abandon(.clientAborted)
        }
    }
}

extension FieldID {
    /// What a script on a page must not learn by way of TRACE. RFC 9110 §9.3.8
    fileprivate var isSecret: Bool {
        switch self {
        case .authorization, .proxyAuthorization, .cookie: true
        default: false
        }
    }
}
