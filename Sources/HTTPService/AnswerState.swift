import PoiseHTTP

/// How far an answer is, and its head. Pure.
struct AnswerState {
    /// Asked with HEAD: the head tells of content that does not follow.
    var isHead = false
    /// Asked in HTTP/1.1; in HTTP/1.0 content of unknown length ends with the connection.
    var allowsChunks = true
    var keepsConnection = false
    private(set) var hasBegun = false
    private(set) var isChunked = false
    private var status = 0
    /// Bytes that the head announced and that were not written yet; nil: unknown.
    private var remaining: Int?

    init(isHead: Bool = false, allowsChunks: Bool = true) { (self.isHead, self.allowsChunks) = (isHead, allowsChunks) }

    /// RFC 9110 §6.4.1
    private var mayHaveContent: Bool { status != 204 && status != 304 }
    var sendsBody: Bool { !isHead && mayHaveContent }
    /// All that was announced has been written.
    var isWhole: Bool { remaining ?? 0 == 0 }

    mutating func begin(status: Int, length: Int?) {
        hasBegun = true
        self.status = status
        remaining = length
        isChunked = length == nil && allowsChunks
        if length == nil, !allowsChunks, sendsBody { keepsConnection = false }
    }

    /// - Returns: false for more bytes than were announced.
    mutating func take(_ count: Int) -> Bool {
        guard let remaining else { return true }
        guard count <= remaining else { return false }
        self.remaining = remaining - count
        return true
    }

    func head(_ response: HTTPResponse, unixSeconds: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        bytes.append(text: "HTTP/1.1 ")
        bytes.appendDecimal(response.status)
        bytes.append(text: " \(reasonPhrase(response.status))\r\nDate: ")
        HTTPDate.append(unixSeconds: unixSeconds, to: &bytes)
        bytes.append(text: "\r\n")
        for line in response.fields.lines { bytes.append(text: "\(line.name): \(line.value)\r\n") }
        if mayHaveContent {
            if let remaining {
                bytes.append(text: "Content-Length: \(remaining)\r\n")
            } else if isChunked {
                bytes.append(text: "Transfer-Encoding: chunked\r\n")
            }
        }
        if !keepsConnection {
            bytes.append(text: "Connection: close\r\n")
        } else if !allowsChunks {
            bytes.append(text: "Connection: keep-alive\r\n")
        }
        bytes.append(text: "\r\n")
        return bytes
    }
}
