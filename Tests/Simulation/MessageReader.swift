/// A second, slow and strict HTTP/1.1 parser: what clients and targets of a simulation read with. It shares no code
/// with Poise's own.
struct MessageReader {
    struct Head {
        var start: [String]
        var fields: [(name: String, value: String)]

        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        var status: Int { Int(start[1]) ?? 0 }
    }

    enum Event {
        case head(Head)
        case body(ArraySlice<UInt8>)
        case end
        case faulty(String)
    }

    private enum State: Equatable {
        case head
        case length(Int)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case trailers
        case untilClose
        case ended
    }

    let readsAnswers: Bool
    /// Answers only: the method that the next one is for.
    var method = "GET"
    /// Of the message that has ended last.
    private(set) var trailers: [Field] = []
    private var state = State.head
    private var bytes: [UInt8] = []
    private var position = 0

    init(readsAnswers: Bool) { self.readsAnswers = readsAnswers }

    var isBetweenMessages: Bool { state == .head && position == bytes.count }
    var endsWithConnection: Bool { state == .untilClose }
    var unread: Int { bytes.count - position }

    mutating func feed(_ more: [UInt8]) {
        if position == bytes.count {
            bytes = more
            position = 0
        } else {
            bytes.append(contentsOf: more)
        }
    }

    /// What is not read yet is not HTTP any more.
    mutating func takeRest() -> ArraySlice<UInt8> { take(.max) ?? [] }

    /// `nil`: more bytes are needed.
    mutating func next() -> Event? {
        switch state {
        case .head: return readHead()
        case .ended:
            state = .head
            return .end
        case .length(let count):
            guard let body = take(count) else { return nil }
            state = count == body.count ? .ended : .length(count - body.count)
            return .body(body)
        case .untilClose: return take(.max).map { .body($0) }
        case .chunkSize:
            guard let line = takeLine() else { return nil }
            let digits = line.split(separator: ";", omittingEmptySubsequences: false)[0]
            guard let size = Int(digits, radix: 16), size >= 0 else { return .faulty("chunk size '\(line)'") }
            state = size == 0 ? .trailers : .chunk(size)
            return next()
        case .chunk(let count):
            guard let body = take(count) else { return nil }
            state = count == body.count ? .chunkEnd : .chunk(count - body.count)
            return .body(body)
        case .chunkEnd:
            guard bytes.count - position >= 2 else { return nil }
            guard bytes[position] == 13, bytes[position + 1] == 10 else { return .faulty("no CRLF behind a chunk") }
            position += 2
            state = .chunkSize
            return next()
        case .trailers:
            guard let line = takeLine() else { return nil }
            guard !line.isEmpty else {
                state = .ended
                return next()
            }
            guard let colon = line.firstIndex(of: ":") else { return .faulty("trailer '\(line)'") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            trailers.append(Field(line[..<colon].lowercased(), String(value)))
            return next()
        }
    }

    private mutating func take(_ max: Int) -> ArraySlice<UInt8>? {
        let count = min(max, bytes.count - position)
        guard count > 0 else { return nil }
        position += count
        return bytes[position - count..<position]
    }

    private mutating func takeLine() -> String? {
        guard let end = Bytes.find("\r\n", in: bytes, from: position) else { return nil }
        let line = String(decoding: bytes[position..<end], as: UTF8.self)
        position = end + 2
        return line
    }

    private mutating func readHead() -> Event? {
        guard let end = Bytes.find("\r\n\r\n", in: bytes, from: position) else { return nil }
        let lines = String(decoding: bytes[position..<end], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        position = end + 4
        let start = lines[0].split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard start.count == 3 else { return .faulty("start line '\(lines[0])'") }
        var fields: [(String, String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return .faulty("field '\(line)'") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields.append((line[..<colon].lowercased(), String(value)))
        }
        let head = Head(start: start, fields: fields)
        trailers = []
        return frame(head)
    }

    private mutating func frame(_ head: Head) -> Event {
        let lengths = head.fields.filter { $0.name == "content-length" }
        let codings = head.fields.filter { $0.name == "transfer-encoding" }
        guard lengths.count + codings.count <= 1 else { return .faulty("framing twice") }
        if readsAnswers {
            let isInterim = head.status < 200
            guard (100...599).contains(head.status) else { return .faulty("status \(head.start)") }
            if isInterim {
                return .head(head)
            }
            if method == "HEAD" || head.status == 204 || head.status == 304 {
                state = .ended
                return .head(head)
            }
        }
        if let coding = codings.first {
            guard coding.value == "chunked" else { return .faulty("coding \(coding.value)") }
            state = .chunkSize
        } else if let length = lengths.first {
            guard let count = Int(length.value), count >= 0 else { return .faulty("length \(length.value)") }
            state = count == 0 ? .ended : .length(count)
        } else {
            state = readsAnswers ? .untilClose : .ended
        }
        return .head(head)
    }
}
