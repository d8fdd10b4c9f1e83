import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// What a server answered.
public struct HTTPClientResponse: Sendable, Equatable {
    public let status: Int
    public let fields: HTTPFields
    /// Empty where the content was streamed.
    public let body: [UInt8]
}

/// One request at a time over a new connection, for control: hooks, discovery, the command line. On a loop with an
/// executor; probes by the thousand have a machine of their own in the room Control.
public struct HTTPClient {
    /// How a server proves who it is.
    public struct Security {
        public let context: TLSClientContext
        public let peer: TLSPeer
        /// Of the loop.
        public let engine: TLSEngine

        public init(context: TLSClientContext, peer: TLSPeer, engine: TLSEngine) {
            (self.context, self.peer, self.engine) = (context, peer, engine)
        }
    }

    private let loop: EventLoop
    private let trusts: ((_ userID: Int) -> Bool)?
    private let security: Security?

    /// - Parameters:
    ///   - security: makes it HTTPS; `nil` is plain text.
    ///   - trusts: asked, before a byte is sent over a unix socket, whether the user who listens there is one to talk to.
    public init(loop: EventLoop, security: Security? = nil, trusts: ((_ userID: Int) -> Bool)? = nil) {
        (self.loop, self.security, self.trusts) = (loop, security, trusts)
    }

    /// Sends `request` and takes the whole answer.
    ///
    /// - Parameter bodyBytesMax: an answer with more content fails as `.tooLarge`.
    public func send(
        _ request: HTTPClientRequest, to address: SocketAddress, deadline: MonotonicTime,
        bodyBytesMax: Int = 16 * 1024 * 1024
    ) async throws(HTTPClientFailure) -> HTTPClientResponse {
        var body: [UInt8] = []
        var isTooLarge = false
        let head = try await stream(request, to: address, deadline: deadline) { piece in
            isTooLarge = piece.count > bodyBytesMax - body.count
            if !isTooLarge { body.append(piece) }
            return !isTooLarge
        }
        if isTooLarge { throw .tooLarge }
        return HTTPClientResponse(status: head.status, fields: head.fields, body: body)
    }

    /// Sends `request` and hands the content over as it comes.
    ///
    /// - Parameter take: gets each piece; false ends the request there, which is no failure.
    /// - Returns: status and fields.
    public func stream(
        _ request: HTTPClientRequest, to address: SocketAddress, deadline: MonotonicTime,
        _ take: (Span<UInt8>) -> Bool
    ) async throws(HTTPClientFailure) -> HTTPClientResponse {
        guard let bytes = request.serialised() else { throw .badRequest }
        let socket: SecureSocket
        do {
            let plain = try await AsyncSocket.connect(to: address, loop: loop, deadline: deadline)
            socket = SecureSocket(client: plain, security: security)
        } catch {
            throw HTTPClientFailure(error, in: .connecting)
        }
        defer { socket.close() }
        guard case .ready = await socket.greet(deadline: deadline) else {
            throw socket.tlsFailure.map { .tls($0) } ?? .timeout(.connecting)
        }
        if let trusts, let userID = socket.peerUserID, !trusts(userID) { throw .untrusted(userID: userID) }
        // A server may answer and close before it has read everything: what it said counts, not the failed send.
        var sendFailure: HTTPClientFailure?
        do { try await socket.send(bytes, deadline: deadline) } catch {
            sendFailure = HTTPClientFailure(error, in: .sending)
            guard case .cut = sendFailure else { throw sendFailure! }
        }
        do { return try await receive(from: socket, method: request.knownMethod, deadline: deadline, take) } catch {
            throw sendFailure ?? error
        }
    }

    private func receive(
        from socket: SecureSocket, method: HTTPMethod, deadline: MonotonicTime, _ take: (Span<UInt8>) -> Bool
    ) async throws(HTTPClientFailure) -> HTTPClientResponse {
        let owned = OwnedBuffer(from: loop.buffers)
        let buffer = owned.buffer
        var reader = AnswerReader(method: method, limits: HeadLimits(headBytesMax: buffer.capacity - 1024))
        var position = 0
        var end = 0
        var answer: HTTPClientResponse?
        while true {
            switch reader.next(buffer.bytes(0, end), position: &position, end: end) {
            case .head: answer = Self.text(of: reader.head, buffer.bytes(0, end))
            case .piece(let range):
                if let answer, !take(buffer.bytes(range.start, range.end)) { return answer }
            case .end: return answer!
            case .malformed(let reason): throw .malformed(reason)
            case .needMore:
                // An incomplete head must stay where it is; what was read of the content may go.
                if answer != nil, position > 0 {
                    buffer.move(position, end, to: buffer, at: 0)
                    (position, end) = (0, end - position)
                }
                guard end < buffer.capacity else { throw .malformed(.headTooLarge) }
                let count: Int
                do { count = try await socket.receive(into: buffer, end, buffer.capacity, deadline: deadline) } catch {
                    throw HTTPClientFailure(error, in: reader.phase)
                }
                if count == 0 {
                    guard reader.endsWithConnection, let answer else { throw .cut(reader.phase) }
                    return answer
                }
                end += count
            }
        }
    }

    private static func text(of head: ResponseHead, _ bytes: Span<UInt8>) -> HTTPClientResponse {
        var fields = HTTPFields()
        for field in head.fields {
            fields.lines.append(.init(String(bytes, field.name), String(bytes, field.value)))
        }
        return HTTPClientResponse(status: head.status, fields: fields, body: [])
    }
}

extension HTTPClientFailure {
    init(_ failure: SocketFailure, in phase: HTTPClientPhase) {
        switch failure {
        case .timeout: self = .timeout(phase)
        case .closed: self = .cut(phase)
        case .cancelled: self = .cancelled
        case .system(let error):
            self = phase == .connecting ? .connect(SystemErrorCode(error)) : .cut(phase)
        }
    }
}

extension HTTPClientFailure.SystemErrorCode {
    init(_ error: SystemError) { self.init(code: error.code, description: error.reason) }
}

extension String {
    /// The bytes of a range as text; what is no UTF-8 becomes U+FFFD.
    init(_ bytes: Span<UInt8>, _ range: ByteRange) {
        var array: [UInt8] = []
        array.append(bytes, range)
        self.init(decoding: array, as: UTF8.self)
    }
}
