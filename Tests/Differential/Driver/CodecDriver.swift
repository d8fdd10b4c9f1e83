import PoiseHTTP

/// Says what the codecs make of requests, for `differential.py`: one request per line of standard input, in
/// hexadecimal digits (so that any byte passes and nothing unsafe is needed to read it); one verdict per line of
/// standard output, its parts separated by tabs:
///
///     accepted  method  target  fields  content bytes  bytes used in all
///     needMore
///     refused   status  reason
///
/// With the argument `h2-read` or `h2-write`: ``HTTP2Driver``.
@main struct CodecDriver {
    static func main() {
        let mode = CommandLine.arguments.dropFirst().first ?? "h1"
        while let line = readLine() {
            if mode == "h2-write" {
                print(HTTP2Driver.write(line.split(separator: " ").compactMap { bytes(hexadecimal: String($0)) }))
                continue
            }
            guard let request = bytes(hexadecimal: line) else {
                print("not hexadecimal: \(line)")
                return
            }
            print(mode == "h2-read" ? HTTP2Driver.read(request) : verdict(request))
        }
    }

    private static func verdict(_ request: [UInt8]) -> String {
        var head = RequestHead()
        switch head.parse(request.span, from: 0, limits: HeadLimits()) {
        case .needMore: return "needMore"
        case .refused(let refusal): return "refused\t\(refusal.status)\t\(refusal.reason.name)"
        case .complete: break
        }
        var contentBytes = 0
        var position = head.headEnd
        switch head.framing {
        case .none, .untilClose: break
        case .length(let length):
            guard length <= request.count - position else { return "needMore" }
            contentBytes = length
            position += length
        case .chunked:
            var decoder = ChunkedDecoder()
            chunks: while true {
                switch decoder.next(request.span, position: &position, end: request.count) {
                case .data(let data): contentBytes += data.count
                case .needMore: return "needMore"
                case .refused(let refusal): return "refused\t\(refusal.status)\t\(refusal.reason.name)"
                case .end: break chunks
                }
            }
        }
        let method = String(decoding: request[head.methodRange.indices], as: UTF8.self)
        let target = String(decoding: request[head.target.indices], as: UTF8.self)
        return "accepted\t\(method)\t\(target)\t\(head.fields.count)\t\(contentBytes)\t\(position)"
    }

    /// - Returns: nil for an odd number of digits, or any other character.
    private static func bytes(hexadecimal line: String) -> [UInt8]? {
        var result: [UInt8] = []
        var high: Int?
        for character in line {
            guard let digit = character.hexDigitValue else { return nil }
            if let first = high {
                result.append(UInt8(first << 4 | digit))
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? result : nil
    }
}
