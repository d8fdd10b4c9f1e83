import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoisePlatform

/// One client connection of an ``HTTPServer``: requests one after the other, each answered before the next is read.
///
/// `unread` (the bytes `start..<end` of the buffer) belong first to the content of the current request, then to the
/// next request: pipelined requests simply wait there.
actor HTTPServerConnection {
    nonisolated let executor: LoopExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }

    private let socket: SecureSocket
    private let loop: EventLoop
    private let peer: HTTPRequest.Peer?
    private let settings: HTTPServer.Settings
    private let handler: HTTPServer.Handler

    private let owned: OwnedBuffer
    private var buffer: Buffer { owned.buffer }
    private var start = 0
    private var end = 0
    private var head = RequestHead()
    private var content = MessageContent()
    private var answer = AnswerState()
    /// Between requests: may be closed without anybody losing anything.
    private var isIdle = true
    private var isStopping = false

    /// Less than the buffer, so that a head that is too large is seen before the buffer is full.
    private static let limits = HeadLimits(headBytesMax: BufferPool.standardBytes - 1024)
    /// Content that nobody read, if it is no more than this, is skipped to keep the connection.
    private static let skippedMax = 64 * 1024

    init(
        _ accepted: Accepted, executor: LoopExecutor, settings: HTTPServer.Settings,
        security: LoopBound<SecureSocket.Security>?, handler: @escaping HTTPServer.Handler
    ) {
        (self.executor, self.settings, self.handler) = (executor, settings, handler)
        peer = accepted.peer.map { HTTPRequest.Peer(address: $0.ip.unmapped, port: $0.port) }
        loop = executor.loop
        socket = SecureSocket(
            adopting: FileDescriptor(adopting: accepted.descriptor), loop: loop, security: security?.open())
        owned = OwnedBuffer(from: loop.buffers)
    }

    // MARK: Called by the server

    /// Serves until one side ends the connection.
    func serve() async {
        switch await socket.greet(deadline: loop.now + settings.headTimeout) {
        case .ready: while await serveOne() {}
        case .speaksPlainHTTP: await refuse(400, "this port speaks HTTPS")
        case .failed: break
        }
        socket.close()
    }

    /// Says that there are too many connections.
    func refuse() async {
        if case .ready = await socket.greet(deadline: loop.now + settings.headTimeout) {
            await refuse(503, "too many connections")
        }
        socket.close()
    }

    private func refuse(_ status: Int, _ message: String) async {
        await answerError(status, message)
        await linger()
    }

    /// Closes now if nothing is in flight, else after the answer.
    func stopWhenIdle() {
        isStopping = true
        if isIdle { socket.close() }
    }

    func abort() { socket.cut() }

    // MARK: One exchange

    /// - Returns: whether another request may follow.
    private func serveOne() async -> Bool {
        do {
            guard try await readHead() else { return false }
        } catch {
            await fail(error)
            return false
        }
        answer = AnswerState(isHead: head.method == .head, allowsChunks: head.version >= .http11)
        do {
            let response = try await handler(request())
            return try await send(response)
        } catch {
            await fail(error)
            return false
        }
    }

    /// - Returns: false when the client is done, or was idle for too long.
    private func readHead() async throws(HTTPHandlerFailure) -> Bool {
        head.reset()
        isIdle = true
        compact()
        var deadline = loop.now + settings.idleTimeout
        while true {
            if end > 0 {
                switch head.parse(buffer.bytes(0, end), from: 0, limits: Self.limits) {
                case .complete:
                    start = head.headEnd
                    content.begin(head.framing, expectsContinue: head.expectsContinue)
                    isIdle = false
                    return true
                case .refused(let refusal):
                    throw .refused(status: refusal.status, "bad request: \(refusal.reason.name)")
                case .needMore: break
                }
            }
            if isIdle, head.hasBegun {
                isIdle = false
                deadline = loop.now + settings.headTimeout
            }
            guard end < buffer.capacity else { throw .refused(status: 431, "the request head is too large") }
            if isStopping, isIdle { return false }
            do {
                let count = try await socket.receive(into: buffer, end, buffer.capacity, deadline: deadline)
                if count == 0 { return false }
                end += count
            } catch {
                guard error == .timeout, head.hasBegun else { return false }
                throw .refused(status: 408, "the request head took too long")
            }
        }
    }

    /// The head as text. Its bytes may be overwritten by content afterwards.
    private func request() -> HTTPRequest {
        let bytes = buffer.bytes(0, end)
        let rawPath = head.path.isEmpty ? "/" : String(bytes, head.path)
        var fields = HTTPFields()
        for field in head.fields {
            fields.lines.append(.init(String(bytes, field.name), String(bytes, field.value)))
        }
        return HTTPRequest(
            method: String(bytes, head.methodRange),
            path: PercentText.decode(rawPath.utf8, plusIsSpace: false), rawPath: rawPath,
            rawQuery: head.hasQuery ? String(bytes, head.query) : nil,
            fields: fields, client: peer, body: HTTPRequestBody(connection: self))
    }

    // MARK: Request content

    /// `Content-Length`; nil for chunked content.
    var announcedLength: Int? {
        switch head.framing {
        case .length(let length): length
        case .none: 0
        case .chunked, .untilClose: nil
        }
    }

    func nextPiece() async throws(HTTPHandlerFailure) -> [UInt8]? {
        while true {
            switch content.next(buffer.bytes(0, end), position: &start, end: end) {
            case .piece(let range):
                var piece: [UInt8] = []
                piece.append(buffer.bytes(range.start, range.end))
                return piece
            case .end: return nil
            case .refused(let refusal):
                throw .refused(status: refusal.status, "bad request content: \(refusal.reason.name)")
            case .needMore: try await receiveContent()
            }
        }
    }

    private func receiveContent() async throws(HTTPHandlerFailure) {
        compact()
        if content.expectsContinue {
            content.expectsContinue = false
            if end == 0, !answer.hasBegun {
                try await transmit(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            }
        }
        guard end < buffer.capacity else { throw .refused(status: 431, "the trailers are too large") }
        let count: Int
        do {
            count = try await socket.receive(
                into: buffer, end, buffer.capacity, deadline: loop.now + settings.bodyTimeout)
        } catch {
            if error == .timeout { throw .refused(status: 408, "the request content took too long") }
            throw .cut
        }
        guard count > 0 else { throw .cut }
        end += count
    }

    /// Moves unread bytes to the front.
    private func compact() {
        guard start > 0 else { return }
        buffer.move(start, end, to: buffer, at: 0)
        (start, end) = (0, end - start)
    }

    // MARK: The answer

    /// - Returns: whether the connection can be used on.
    private func send(_ response: HTTPResponse) async throws(HTTPHandlerFailure) -> Bool {
        guard (200...599).contains(response.status), response.fields.isWellFormed else {
            throw .refused(status: 500, "the handler made an answer that cannot be sent")
        }
        // Decided before the head leaves: content that nobody read can only be skipped while it is short.
        let canSkip = content.isSkippable(within: Self.skippedMax)
        answer.keepsConnection = canSkip && !head.wantsClose && !isStopping
        switch response.body {
        case .bytes(let bytes):
            answer.begin(status: response.status, length: bytes.count)
            let text = answer.head(response, unixSeconds: Clock.wall / 1_000_000_000)
            let isSent = answer.sendsBody ? bytes : []
            if isSent.count <= 4096 {
                try await transmit(text + isSent)
            } else {
                try await transmit(text)
                try await transmit(isSent)
            }
        case .stream(let length, let body):
            answer.begin(status: response.status, length: length)
            try await transmit(answer.head(response, unixSeconds: Clock.wall / 1_000_000_000))
            if answer.sendsBody {
                try await body(HTTPResponseWriter(connection: self))
                guard answer.isWhole else { throw .cut }
                if answer.isChunked { try await transmit(Array("0\r\n\r\n".utf8)) }
            }
        }
        return try await finish()
    }

    func write(_ bytes: [UInt8]) async throws(HTTPHandlerFailure) {
        guard !bytes.isEmpty else { return }
        guard answer.take(bytes.count) else { throw .cut }
        guard answer.isChunked else { return try await transmit(bytes) }
        var chunk: [UInt8] = []
        chunk.reserveCapacity(bytes.count + 20)
        chunk.appendHex(UInt64(bytes.count))
        chunk.append(text: "\r\n")
        chunk += bytes
        chunk.append(text: "\r\n")
        try await transmit(chunk)
    }

    /// Skips what is left of the request's content, or closes gently.
    private func finish() async throws(HTTPHandlerFailure) -> Bool {
        guard answer.keepsConnection else {
            await linger()
            return false
        }
        content.expectsContinue = false
        while try await nextPiece() != nil {}
        return true
    }

    private func fail(_ failure: HTTPHandlerFailure) async {
        switch failure {
        case .reset: socket.reset()
        case .cut: socket.cut()
        case .refused(let status, let message):
            guard !answer.hasBegun else { return socket.cut() }
            await answerError(status, message)
            await linger()
        }
    }

    private func answerError(_ status: Int, _ message: String) async {
        let response = HTTPResponse(status: status, text: message)
        answer.keepsConnection = false
        answer.begin(status: status, length: message.utf8.count + 1)
        var bytes = answer.head(response, unixSeconds: Clock.wall / 1_000_000_000)
        if answer.sendsBody { bytes.append(text: message + "\n") }
        try? await transmit(bytes)
    }

    private func transmit(_ bytes: [UInt8]) async throws(HTTPHandlerFailure) {
        do { try await socket.send(bytes, deadline: loop.now + settings.bodyTimeout) } catch { throw .cut }
    }

    /// Sends FIN and reads on for a moment: closing with bytes unread would send RST, and that can take the answer
    /// away from a client that has not read it yet. RFC 9112 §9.6
    private func linger() async {
        socket.shutdownWrite()
        let deadline = loop.now + .seconds(2)
        while let count = try? await socket.receive(into: buffer, 0, buffer.capacity, deadline: deadline), count > 0 {}
    }
}
