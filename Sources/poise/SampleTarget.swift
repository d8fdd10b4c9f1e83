import Glibc
import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// The server behind `poise target`.
actor SampleTarget {
    /// How it behaves unless a path says otherwise.
    struct Manners: Sendable {
        var delay: Nanoseconds
        /// `delay` is the mean of exponentially distributed times.
        var isDelayExponential: Bool
        /// Requests that it works on at a time; `nil`: all.
        var concurrency: Int?
        /// Shares of the requests, 0...1.
        var failShare: Double
        /// Without delay and without waiting for a turn.
        var failsAtOnce: Bool
        var cutShare: Double
        var isUnhealthy: Bool
    }

    nonisolated let executor: LoopExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }

    private let name: String
    private var manners: Manners
    private let tls: TLSServerContext?
    private var requestCount = 0
    private var turns: Turns

    /// - Parameter tls: `nil` for plain HTTP.
    init(name: String, manners: Manners, tls: TLSServerContext?, executor: LoopExecutor) {
        (self.name, self.manners, self.tls, self.executor) = (name, manners, tls, executor)
        turns = Turns(manners.concurrency)
    }

    /// Serves until one of the signals comes.
    ///
    /// - Returns: what went wrong at the start; nil after a clean end.
    func serve(on addresses: [ListenAddress], until signals: [CInt]) async -> String? {
        var settings = HTTPServer.Settings()
        settings.connectionsMax = 60_000
        settings.tls = tls
        let server = HTTPServer(executor: executor, settings: settings) { (request) throws(HTTPHandlerFailure) in
            try await self.answer(request)
        }
        do {
            let signals = try AsyncSignals(signals, loop: executor.loop)
            for address in addresses {
                do throws(SystemError) {
                    let bound = try await server.listen(on: address)
                    Console.print("ready listener=target address=\(bound)")
                } catch {
                    return "cannot listen on \(address): \(error.reason)"
                }
            }
            Console.print("ready")
            _ = try? await signals.next()
        } catch {
            return "\(error)"
        }
        await server.stop(deadline: executor.loop.now + .seconds(1))
        Console.print("stopped requests=\(requestCount)")
        return nil
    }

    private func answer(_ request: HTTPRequest) async throws(HTTPHandlerFailure) -> HTTPResponse {
        requestCount += 1
        let fails = happens(manners.failShare)
        if !fails || !manners.failsAtOnce { try await work() }
        if fails { return HTTPResponse(status: 503, text: "told to fail") }
        if happens(manners.cutShare) { throw .cut }

        let parts = request.path.split(separator: "/", maxSplits: 2).map(String.init)
        let argument = parts.count > 1 ? parts[1] : nil
        switch parts.first {
        case "health":
            return manners.isUnhealthy ? HTTPResponse(status: 503, text: "unhealthy") : HTTPResponse(text: "healthy")
        case "fail":
            manners.isUnhealthy = request.query("on") != "0"
            return HTTPResponse(text: manners.isUnhealthy ? "/health answers 503" : "/health answers 200")
        case "status": return HTTPResponse(status: try number(argument, in: 200...599), text: "as asked")
        case "slow":
            try await pause(.milliseconds(Int64(try number(request.query("ms"), or: 1000))))
            return try await report(request)
        case "bytes": return bytes(try number(argument, in: 0...(1 << 40)))
        case "chunked":
            return chunks(
                count: try number(argument, in: 0...1_000_000), size: try number(request.query("size"), or: 16),
                pause: .milliseconds(Int64(try number(request.query("ms"), or: 0))))
        case "sse":
            return events(
                count: try number(request.query("count"), or: 10),
                pause: .milliseconds(Int64(try number(request.query("ms"), or: 1000))))
        case "echo": return echo(request)
        case "cut": return try breakOff(after: request.query("after"), .cut)
        case "reset": return try breakOff(after: request.query("after"), .reset)
        case "hang":
            try await pause(.seconds(24 * 3600))
            throw .cut
        case "die": exit(1)
        default: return try await report(request)
        }
    }

    /// What comes before each answer: a turn, and the delay.
    private func work() async throws(HTTPHandlerFailure) {
        if !turns.take() { await withCheckedContinuation { turns.wait($0) } }
        defer { turns.giveBack() }
        guard manners.delay > .zero else { return }
        guard manners.isDelayExponential else { return try await pause(manners.delay) }
        try await pause(Nanoseconds(Int64(-log(1 - Double.random(in: 0..<1)) * Double(manners.delay.count))))
    }

    // MARK: Answers

    /// Who this is and what it received.
    private func report(_ request: HTTPRequest) async throws(HTTPHandlerFailure) -> HTTPResponse {
        let count = requestCount
        var length = 0
        while let piece = try await request.body.next() { length += piece.count }
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("name", name)
        json.member("method", request.method)
        json.member("path", request.rawPath)
        json.key("query")
        if let query = request.rawQuery { json.string(query) } else { json.null() }
        json.key("fields")
        json.beginArray()
        for line in request.fields.lines {
            json.beginArray()
            json.string(line.name)
            json.string(line.value)
            json.endArray()
        }
        json.endArray()
        json.member("body_bytes", length)
        json.key("client")
        if let client = request.client { json.string(client.description) } else { json.null() }
        json.member("requests", count)
        json.endObject()
        return HTTPResponse(json: json.sink + Array("\n".utf8))
    }

    private func bytes(_ count: Int) -> HTTPResponse {
        HTTPResponse(
            fields: ["Content-Type": "application/octet-stream"],
            body: .stream(length: count) { (writer) throws(HTTPHandlerFailure) in
                try await Self.write(count, to: writer)
            })
    }

    private func chunks(count: Int, size: Int, pause: Nanoseconds) -> HTTPResponse {
        HTTPResponse(
            fields: ["Content-Type": "application/octet-stream"],
            body: .stream(length: nil) { (writer) throws(HTTPHandlerFailure) in
                for index in 0..<count {
                    if index > 0, pause > .zero { try await self.pause(pause) }
                    try await Self.write(size, to: writer)
                }
            })
    }

    private func events(count: Int, pause: Nanoseconds) -> HTTPResponse {
        HTTPResponse(
            fields: ["Content-Type": "text/event-stream", "Cache-Control": "no-store"],
            body: .stream(length: nil) { (writer) throws(HTTPHandlerFailure) in
                for index in 0..<count {
                    if index > 0 { try await self.pause(pause) }
                    try await writer.write(Array("id: \(index)\ndata: event \(index)\n\n".utf8))
                }
            })
    }

    private func echo(_ request: HTTPRequest) -> HTTPResponse {
        var response = HTTPResponse(
            body: .stream(length: request.fields["Content-Length"].flatMap { Int($0) }) {
                (writer) throws(HTTPHandlerFailure) in
                while let piece = try await request.body.next() { try await writer.write(piece) }
            })
        response.fields["Content-Type"] = request.fields["Content-Type"] ?? "application/octet-stream"
        return response
    }

    private func breakOff(after: String?, _ end: HTTPHandlerFailure) throws(HTTPHandlerFailure) -> HTTPResponse {
        guard let after else { throw end }
        let count = try number(after, in: 0...(1 << 40))
        return HTTPResponse(
            body: .stream(length: count + 1000) { (writer) throws(HTTPHandlerFailure) in
                try await Self.write(count, to: writer)
                throw end
            })
    }

    // MARK: Parts of them

    /// `count` bytes of a repeated alphabet, so that a reader can check them.
    private static func write(_ count: Int, to writer: HTTPResponseWriter) async throws(HTTPHandlerFailure) {
        let period = 26 * 2048
        let block = (0..<min(count, period)).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        var rest = count
        while rest > 0 {
            try await writer.write(rest >= block.count ? block : Array(block[..<rest]))
            rest -= min(rest, block.count)
        }
    }

    private func happens(_ share: Double) -> Bool { share > 0 && Double.random(in: 0..<1) < share }

    private func pause(_ span: Nanoseconds) async throws(HTTPHandlerFailure) {
        do { try await executor.loop.sleep(for: span) } catch { throw .cut }
    }

    private func number(
        _ text: String?, or standard: Int? = nil, in range: ClosedRange<Int> = 0...86_400_000
    ) throws(HTTPHandlerFailure) -> Int {
        guard let text else {
            guard let standard else { throw .refused(status: 400, "a number is missing") }
            return standard
        }
        guard let number = Int(text), range.contains(number) else {
            throw .refused(status: 400, "'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
