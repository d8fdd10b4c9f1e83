/// What a handler answers.
public struct HTTPResponse: Sendable {
    /// 200...599
    public var status: Int
    /// Without framing and connection fields: those and `Date` are the server's.
    public var fields: HTTPFields
    public var body: Body

    public enum Body: Sendable {
        case bytes([UInt8])
        /// Written piece by piece after the head has left. With a `length` exactly so many bytes must be written,
        /// fewer cut the connection; without one the answer is chunked (for HTTP/1.0: ends with the connection).
        case stream(length: Int?, @Sendable (HTTPResponseWriter) async throws(HTTPHandlerFailure) -> Void)
    }

    public init(status: Int = 200, fields: HTTPFields = [:], body: Body = .bytes([])) {
        (self.status, self.fields, self.body) = (status, fields, body)
    }

    /// A text answer; a line end is added.
    public init(status: Int = 200, text: String) {
        self.init(
            status: status, fields: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(Array("\(text)\n".utf8))
        )
    }

    public init(status: Int = 200, json: [UInt8]) {
        self.init(status: status, fields: ["Content-Type": "application/json"], body: .bytes(json))
    }
}

/// Takes the pieces of a streamed answer.
public struct HTTPResponseWriter: Sendable {
    let connection: HTTPServerConnection

    /// Returns when the kernel has taken the bytes.
    ///
    /// - Throws: `.cut` when the client is gone or takes nothing for the write timeout.
    public func write(_ bytes: [UInt8]) async throws(HTTPHandlerFailure) { try await connection.write(bytes) }
}
