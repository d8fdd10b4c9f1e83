import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoiseRouting

extension Exchange {
    /// Bytes that the target's head may need beyond the client's and one for each field, which may have come
    /// without a space behind its colon.
    private static var requestHeadExtra: Int { 1792 }

    // The protocol in which a message came. RFC 9110 §7.6.3
    private static var via2: StaticString { "Via: 2.0 poise\r\n" }
    private static var via11: StaticString { "Via: 1.1 poise\r\n" }
    private static var via10: StaticString { "Via: 1.0 poise\r\n" }

    /// Stages the request's head for the target. RFC 9110 §7.6, RFC 9112 §3
    func stageRequestHead(to target: TargetStream) {
        let buffer = headBuffer
        let fixedHost = hostForTarget(target)
        var writer = target.stageHead(
            room: head.headEnd - head.headStart + head.fields.count + Self.requestHeadExtra
                + (fixedHost?.utf8.count ?? 0))
        let settings = listener.requestSettings
        let dropped = fieldsWrittenAnew(settings)
        let bytes = buffer.bytes(0, head.headEnd)
        let fields = head.fields
        if fixedHost == nil, head.beginsPlainly {
            fields.copy(
                bytes, from: head.headStart, to: head.fieldsEnd, dropping: dropped, dropsTwins: true, to: &writer)
        } else {
            writer.append(bytes, head.methodRange)
            writer.append(0x20)
            writeTarget(to: &writer, buffer)
            writer.append(text: " HTTP/1.1\r\nHost: ")
            if let fixedHost {
                writer.append(text: fixedHost)
            } else {
                writer.append(bytes, head.authority)
            }
            writer.append(text: "\r\n")
            fields.copy(
                bytes, from: head.fieldsStart, to: head.fieldsEnd, dropping: dropped.union(FieldSet(.host)),
                dropsTwins: true, to: &writer)
        }

        writeForwarding(settings, to: &writer, buffer)
        if let maxForwards {
            writer.append(text: "Max-Forwards: ")
            writer.appendDecimal(maxForwards)
            writer.append(text: "\r\n")
        }
        writer.append(text: client.framesMessages ? Self.via2 : head.version == .http11 ? Self.via11 : Self.via10)
        switch head.framing {
        case .none: break
        case .length(let count):
            writer.append(text: "Content-Length: ")
            writer.appendDecimal(count)
            writer.append(text: "\r\n")
        case .chunked, .untilClose:
            writer.append(text: "Transfer-Encoding: chunked\r\n")
        }
        if wantsUpgrade {
            writer.append(text: "Connection: Upgrade\r\nUpgrade: ")
            writer.append(buffer.bytes(upgrade.start, upgrade.end))
            writer.append(text: "\r\n")
        } else if head.acceptsTrailers {
            writer.append(text: "Connection: TE\r\nTE: trailers\r\n")
        }
        writer.append(0x0D)
        writer.append(0x0A)
        target.commitHead(writer, endsMessage: requestBody.sourceIsDone)
    }

    /// What stays behind of the client's fields since it is written anew, or must not come from anybody.
    private func fieldsWrittenAnew(_ settings: RequestSettings) -> FieldSet {
        var dropped = FieldSet(.contentLength)
        if client.isTrusted {
            // A trusted proxy's own fields stay; X-Forwarded-For is written anew with the proxy appended.
            if settings.xForwarded { dropped.insert(FieldSet(.xForwardedFor)) }
            if settings.forwarded { dropped.insert(FieldSet(.forwarded)) }
            if tellsSecurity {
                dropped.formUnion([FieldSet(.xAmznTLSVersion), FieldSet(.xAmznTLSCipherSuite)])
            }
        } else {
            dropped.formUnion([
                FieldSet(.xForwardedFor), FieldSet(.xForwardedProto), FieldSet(.xForwardedPort),
                FieldSet(.xForwardedHost), FieldSet(.xRealIP), FieldSet(.forwarded), FieldSet(.xAmznTLSVersion),
                FieldSet(.xAmznTLSCipherSuite),
            ])
        }
        if settings.requestID { dropped.insert(FieldSet(.xRequestID)) }
        if settings.amazonTraceID { dropped.insert(FieldSet(.xAmznTraceID)) }
        if maxForwards != nil { dropped.insert(FieldSet(.maxForwards)) }
        return dropped
    }

    /// Origin-form, or `*`. RFC 9112 §3.2
    private func writeTarget(to writer: inout BufferWriter, _ buffer: Buffer) {
        if head.path.isEmpty {
            // An absolute-form without a path: OPTIONS of the server as a whole, else the root. RFC 9112 §3.2.4
            writer.append(head.method == .options && !head.hasQuery ? 0x2A : 0x2F)
        } else {
            writer.append(buffer.bytes(head.path.start, head.path.end))
        }
        if head.hasQuery {
            writer.append(0x3F)
            if !head.query.isEmpty { writer.append(buffer.bytes(head.query.start, head.query.end)) }
        }
    }

    /// `nil`: the client's own.
    private func hostForTarget(_ target: TargetStream) -> String? {
        switch target.pool.group.settings.hostHeader {
        case .keep: head.authority.isEmpty ? target.pool.target.hostHeader : nil
        case .target: target.pool.target.hostHeader
        case .fixed(let name): name
        }
    }

    /// `X-Forwarded-*`, `Forwarded`, `X-Request-Id`, `X-Amzn-Trace-Id`.
    private func writeForwarding(_ settings: RequestSettings, to writer: inout BufferWriter, _ buffer: Buffer) {
        if settings.xForwarded {
            // A client of a unix socket has neither address nor port: fields without a value would only mislead.
            let hasAddress = client.address != nil
            if hasAddress {
                writer.append(text: "X-Forwarded-For: ")
                if client.isTrusted {
                    for field in head.fields where field.id == .xForwardedFor && !field.value.isEmpty {
                        writer.append(buffer.bytes(field.value.start, field.value.end))
                        writer.append(text: ", ")
                    }
                }
                client.addressText.append(to: &writer)
                writer.append(text: "\r\n")
            }
            if !client.isTrusted || !head.fields.contains(where: { $0.id == .xForwardedProto }) {
                writer.append(
                    text: client.scheme == .https ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
            }
            if hasAddress, !client.isTrusted || !head.fields.contains(where: { $0.id == .xForwardedPort }) {
                writer.append(text: "X-Forwarded-Port: ")
                writer.appendDecimal(UInt(client.localPort))
                writer.append(text: "\r\n")
            }
        }
        if settings.requestID {
            writer.append(text: "X-Request-Id: ")
            writeRequestID(to: &writer, buffer)
            writer.append(text: "\r\n")
        }
        if settings.amazonTraceID {
            writer.append(text: "X-Amzn-Trace-Id: ")
            if keptTraceID.isEmpty {
                RequestIDRules.appendTraceID(
                    unixSeconds: UInt32(truncatingIfNeeded: worker.wallTime / 1_000_000_000), requestIDHigh,
                    requestIDLow, to: &writer)
            } else {
                writer.append(buffer.bytes(keptTraceID.start, keptTraceID.end))
            }
            writer.append(text: "\r\n")
        }
        if tellsSecurity, let tls = client.security {
            writer.append(text: "X-Amzn-Tls-Version: ")
            writer.append(text: tls.versionName)
            writer.append(text: "\r\nX-Amzn-Tls-Cipher-Suite: ")
            writer.append(text: tls.cipherName)
            writer.append(text: "\r\n")
        }
        if settings.forwarded, let address = client.address {
            writer.append(text: "Forwarded: ")
            if client.isTrusted {
                for field in head.fields where field.id == .forwarded && !field.value.isEmpty {
                    writer.append(buffer.bytes(field.value.start, field.value.end))
                    writer.append(text: ", ")
                }
            }
            ForwardedElement(client: address, scheme: client.scheme).append(
                host: buffer.bytes(head.authority.start, head.authority.end), to: &writer)
            writer.append(text: "\r\n")
        }
    }

    /// `X-Amzn-Tls-*` are written.
    private var tellsSecurity: Bool {
        listener.requestSettings.tellsVersionAndCipher && client.security != nil
    }

    /// The id of this request: the client's, or 32 hexadecimal digits of our own.
    func writeRequestID(to writer: inout some ByteSink, _ buffer: Buffer?) {
        if !keptRequestID.isEmpty, let buffer {
            writer.append(buffer.bytes(keptRequestID.start, keptRequestID.end))
        } else {
            RequestIDRules.appendRequestID(requestIDHigh, requestIDLow, to: &writer)
        }
    }

    // MARK: Answers

    private static var answerHeadExtra: Int { 384 }

    /// Stages the answer's head for the client. RFC 9110 §7.6, RFC 9112 §6
    ///
    /// - Parameter isFinal: false for 1xx, which carry their fields and nothing of ours.
    func stageAnswerHead(_ buffer: Buffer, isFinal: Bool) {
        let client = self.client!
        // One for each field: it may have come without a space behind its colon.
        var writer = client.stageHead(
            room: answer.headEnd - answer.headStart + answer.fields.count + Self.answerHeadExtra)
        let bytes = buffer.bytes(0, answer.headEnd)
        var start = answer.headStart
        let isFramed = target?.framesMessages ?? false
        // HTTP/2 has no phrases.
        let lacksPhrase = isFramed && !client.framesMessages
        if lacksPhrase || !answer.hasPlainLine {
            writer.append(text: "HTTP/1.1 ")
            writer.appendDecimal(UInt(answer.status))
            writer.append(0x20)
            if lacksPhrase {
                writer.append(text: reasonPhrase(answer.status))
            } else if !answer.reason.isEmpty {
                writer.append(bytes, answer.reason)
            }
            writer.append(text: "\r\n")
            start = answer.fieldsStart
        }
        // Before the fields are looked at: a call in between makes a copy of the whole head.
        let dropped = mayKeepContentLength ? [] : FieldSet(.contentLength)
        let end = answer.fieldsEnd
        let fields = answer.fields
        fields.copy(bytes, from: start, to: end, dropping: dropped, dropsTwins: false, to: &writer)
        if answer.status == 101 {
            writer.append(text: "Connection: Upgrade\r\nUpgrade: ")
            writer.append(buffer.bytes(answer.upgradeValue.start, answer.upgradeValue.end))
            writer.append(text: "\r\n")
        }
        if isFinal {
            if !answer.hasDate {
                writer.append(text: "Date: ")
                writer.append(worker.currentDate().span)
                writer.append(text: "\r\n")
            }
            writer.append(text: isFramed ? Self.via2 : answer.version == .http11 ? Self.via11 : Self.via10)
            writeStrictTransport(to: &writer)
            if answerBody.sink == .chunked { writer.append(text: "Transfer-Encoding: chunked\r\n") }
            if !keepAlive {
                writer.append(text: "Connection: close\r\n")
            } else if head.version == .http10 {
                writer.append(text: "Connection: keep-alive\r\n")
            }
        }
        writer.append(0x0D)
        writer.append(0x0A)
        client.commitHead(writer, endsMessage: isFinal && answerBody.sourceIsDone)
    }

    /// RFC 6797 §7.2: over secure transport only.
    private func writeStrictTransport(to writer: inout BufferWriter) {
        guard listener.scheme == .https else { return }
        let line = listener.compiled.strictTransportLine
        writer.append(line.span)
    }

    /// A body of known length keeps its field; HEAD and 304 may say what the length would be. RFC 9110 §8.6
    private var mayKeepContentLength: Bool {
        switch answer.framing {
        case .length: true
        case .none: answer.status == 304 || (head.method == .head && answer.status >= 200 && answer.status != 204)
        case .chunked, .untilClose: false
        }
    }

    // MARK: Answers that Poise makes

    /// Stages a whole answer of our own.
    func stageGenerated(
        status: Int, contentType: String, body: [UInt8], location: [UInt8]? = nil, allow: String? = nil
    ) {
        var writer = client.stageHead(room: 640 + contentType.utf8.count + body.count + (location?.count ?? 0))
        writer.append(text: "HTTP/1.1 ")
        writer.appendDecimal(UInt(status))
        writer.append(0x20)
        writer.append(text: reasonPhrase(status))
        writer.append(text: "\r\nServer: poise\r\nDate: ")
        writer.append(worker.currentDate().span)
        if let location {
            writer.append(text: "\r\nLocation: ")
            writer.append(location.span)
        }
        if let allow {
            writer.append(text: "\r\nAllow: ")
            writer.append(text: allow)
        }
        writer.append(text: "\r\nCache-Control: no-store\r\n")
        writeStrictTransport(to: &writer)
        let hasBody = status != 204 && status != 304
        if hasBody {
            if !body.isEmpty {
                writer.append(text: "Content-Type: ")
                writer.append(text: contentType)
                writer.append(text: "\r\n")
            }
            writer.append(text: "Content-Length: ")
            writer.appendDecimal(UInt(body.count))
            writer.append(text: "\r\n")
        }
        if !keepAlive {
            writer.append(text: "Connection: close\r\n")
        } else if head.version == .http10 {
            writer.append(text: "Connection: keep-alive\r\n")
        }
        writer.append(text: "\r\n")
        generatedBytes = hasBody && head.method != .head ? body.count : 0
        client.commitHead(writer, endsMessage: generatedBytes == 0)
        guard generatedBytes > 0 else { return }
        var content = client.stage(room: body.count)
        content.append(body.span)
        client.commit(content)
    }

    /// The body of an error answer: the reason and the request id, for the person who has to find it in a log.
    func errorBody(_ reason: EndReason, _ refusal: Refusal?) -> (contentType: String, body: [UInt8]) {
        var body: [UInt8] = []
        let code = refusal?.reason.name ?? reason.name
        let words = reason.words(for: refusal?.reason)
        switch listener.compiled.settings.errorFormat {
        case .text:
            body.append(text: "\(reason.status == 0 ? 500 : status) \(reasonPhrase(status))\n")
            body.append(text: "\(words) (\(code))\nrequest ")
            writeRequestID(to: &body, hasHead ? headBuffer : nil)
            body.append(text: "\n")
            return ("text/plain; charset=utf-8", body)
        case .json:
            body.append(
                text: "{\"status\":\(status),\"reason\":\"\(code)\",\"message\":\"\(words)\",\"request_id\":\"")
            // A trusted peer's id may hold any byte of a field value.
            var id: [UInt8] = []
            writeRequestID(to: &id, hasHead ? headBuffer : nil)
            body.appendJSONEscaped(id.span)
            body.append(text: "\"}\n")
            return ("application/json", body)
        }
    }
}
