import PoiseHTTP
import PoiseTLS

/// A request that a client or a probe sends; it always asks for the connection to be closed afterwards.
public struct HTTPClientRequest: Sendable, Equatable {
    public var method: String
    /// Path and query as they go on the wire.
    public var target: String
    /// The value of `Host`.
    public var host: String
    /// Without `Host`, `Connection` and framing: those come by themselves.
    public var fields: HTTPFields
    public var body: [UInt8]

    public init(
        method: String = "GET", target: String, host: String, fields: HTTPFields = [:], body: [UInt8] = []
    ) {
        (self.method, self.target, self.host) = (method, target, host)
        (self.fields, self.body) = (fields, body)
    }

    /// The bytes to send; `nil` where a part holds what would end its place early (a space in the target, a line end
    /// in a field).
    public func serialised() -> [UInt8]? {
        let isVisible: (UInt8) -> Bool = { (0x21...0x7E).contains($0) }
        guard HTTPFields([.init(method, host)]).isWellFormed, fields.isWellFormed, !target.isEmpty,
            target.utf8.allSatisfy(isVisible), host.utf8.allSatisfy(isVisible)
        else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + body.count)
        bytes.append(text: "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n")
        for line in fields.lines { bytes.append(text: "\(line.name): \(line.value)\r\n") }
        if !body.isEmpty || method == "POST" || method == "PUT" || method == "PATCH" {
            bytes.append(text: "Content-Length: \(body.count)\r\n")
        }
        bytes.append(text: "Connection: close\r\n\r\n")
        return bytes + body
    }

    var knownMethod: HTTPMethod { method == "HEAD" ? .head : method == "CONNECT" ? .connect : .get }
}

/// Where a request stood when it failed.
public enum HTTPClientPhase: String, Sendable, Hashable {
    case connecting, sending
    /// The request has left, the head of the answer is not complete.
    case waiting
    /// The head of the answer has come, its content has not.
    case receiving
}

/// Why there is no answer.
public enum HTTPClientFailure: Error, Sendable, Hashable {
    /// connect(2) said no: ECONNREFUSED, EHOSTUNREACH, ENOENT for a unix socket, …
    case connect(SystemErrorCode)
    /// No TLS: the server did not prove who it is, or speaks none.
    case tls(TLSFailure)
    /// The user who listens at a unix socket is not one to talk to.
    case untrusted(userID: Int)
    case timeout(HTTPClientPhase)
    /// The peer closed or reset before the answer was complete.
    case cut(HTTPClientPhase)
    /// The answer is not HTTP/1.1.
    case malformed(Refusal.Reason)
    /// The content is larger than the caller takes.
    case tooLarge
    /// The request cannot be written in HTTP/1.1.
    case badRequest
    case cancelled

    /// An errno with its text.
    public struct SystemErrorCode: Sendable, Hashable, CustomStringConvertible {
        public let code: CInt
        public let description: String
        public init(code: CInt, description: String) { (self.code, self.description) = (code, description) }
    }
}
