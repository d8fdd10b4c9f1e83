import PoiseHTTP
import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTelemetry

/// The admin API: HTTP on a unix socket, whose mode says who may use it, and `GET /metrics` alone on an address.
///
///     GET  /metrics                                  Prometheus text
///     GET  /status[?format=table&color=1&watch=1000] JSON, or tables; again and again every so many milliseconds
///     GET  /targets/[GROUP/]TARGET[?format=…]        one target with its history, the same forms
///     POST /apply                                    a configuration, or a ``ConfigBundle``
///     POST /reload                                   the file again, as HUP
///     POST /targets/GROUP/TARGET/drain[?wait=1]      GROUP and TARGET percent-encoded
///     POST /targets/GROUP/TARGET/undrain
///     POST /targets/GROUP/TARGET/weight?weight=N
///     DELETE /targets/GROUP/TARGET/weight            back to what the file says
///
/// Answers and errors are JSON; `Accept: text/plain` asks for what the command line prints.
@ControlActor
public final class AdminServer {
    private let source: any AdminSource
    private var servers: [HTTPServer] = []
    private var isStopping = false
    /// Where `GET /metrics` alone is served, with the port that was really bound.
    public private(set) var metricsAddress: ListenAddress?

    /// A configuration with all its files is no larger than this.
    private static let applyBytesMax = 64 * 1024 * 1024
    /// Per server. Whoever holds them all must leave traffic the descriptors that ``Daemon`` keeps free for it: of the
    /// hundred that are set aside, the rest is for files and listening sockets.
    private static var serverSettings: HTTPServer.Settings {
        var settings = HTTPServer.Settings()
        settings.connectionsMax = 48
        return settings
    }
    /// Between two looks at a target whose flows somebody waits for.
    private static let waitInterval = Nanoseconds.milliseconds(100)

    public init(source: any AdminSource) { self.source = source }

    /// Binds the socket, and the metrics address where the configuration names one.
    ///
    /// A socket that a dead process left behind is replaced.
    /// - Throws: ``ConfigError`` when another Poise answers there, nobody may bind there, or others may as well.
    public func start(_ settings: ProcessSettings) async throws(ConfigError) {
        let socket = AdminSocket(settings.adminSocket)
        try socket.prepareFolder()
        let path = socket.path
        do throws(SystemError) {
            let server = HTTPServer(executor: ControlActor.shared.executor, settings: Self.serverSettings) {
                (request) throws(HTTPHandlerFailure) in try await self.answer(request)
            }
            try await server.listen(on: .unix(path: path), mode: 0o660)
            servers.append(server)
        } catch {
            throw ConfigError(
                code: .conflict, path: "process.admin.socket",
                problem: "cannot open the admin socket \(path): \(error.reason)",
                fix: error.code == Errno.addressInUse
                    ? "another Poise runs with this socket: end it, or set process.admin.socket or \(AdminSocket.variable)"
                    : "make its folder, or set process.admin.socket or \(AdminSocket.variable)")
        }
        guard let address = settings.metricsAddress else { return }
        do throws(SystemError) {
            let server = HTTPServer(executor: ControlActor.shared.executor, settings: Self.serverSettings) {
                (request) throws(HTTPHandlerFailure) in try await self.answerMetricsOnly(request)
            }
            metricsAddress = try await server.listen(on: address)
            servers.append(server)
        } catch {
            await stop()
            throw ConfigError(
                code: .conflict, path: "process.admin.metrics",
                problem: "cannot listen on \(address): \(error.reason)",
                fix: "end the program that uses it, or choose another address")
        }
    }

    /// Lets what is being answered end, for half a second at most, and removes the socket.
    public func stop() async {
        isStopping = true
        for server in servers { await server.stop(deadline: ControlActor.loop.now + .milliseconds(500)) }
        servers = []
    }

    // MARK: Routes

    private func answerMetricsOnly(_ request: HTTPRequest) async throws(HTTPHandlerFailure) -> HTTPResponse {
        guard request.rawPath == "/metrics" else {
            return Self.refusal(request, 404, "not_found", "only /metrics is served here\n")
        }
        guard ["GET", "HEAD"].contains(request.method) else { return Self.notAllowed(request, "GET, HEAD") }
        return await metrics()
    }

    private func answer(_ request: HTTPRequest) async throws(HTTPHandlerFailure) -> HTTPResponse {
        let parts = request.rawPath.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        let isRead = ["GET", "HEAD"].contains(request.method)
        let isPost = request.method == "POST"
        do throws(AdminRefusal) {
            switch (parts.first, parts.count) {
            case ("metrics", 1): return isRead ? await metrics() : Self.notAllowed(request, "GET, HEAD")
            case ("status", 1): return isRead ? try await status(request) : Self.notAllowed(request, "GET, HEAD")
            case ("apply", 1):
                guard isPost else { return Self.notAllowed(request, "POST") }
                let body: [UInt8]
                do { body = try await request.body.collect(limit: Self.applyBytesMax) } catch { return try fail(error) }
                return Self.answer(request, try await apply(request, body))
            case ("reload", 1):
                guard isPost else { return Self.notAllowed(request, "POST") }
                return Self.answer(request, try await source.reload())
            case ("targets", 2), ("targets", 3):
                return isRead ? try await detail(request, Array(parts[1...])) : Self.notAllowed(request, "GET, HEAD")
            case ("targets", 4):
                guard ["drain", "undrain", "weight"].contains(parts[3]) else { break }
                let isWeight = parts[3] == "weight"
                guard isPost || (isWeight && request.method == "DELETE") else {
                    return Self.notAllowed(request, isWeight ? "POST, DELETE" : "POST")
                }
                return try await target(request, group: parts[1], target: parts[2], verb: parts[3])
            default: break
            }
        } catch {
            return Self.refusal(request, error.status, error.code, error.message)
        }
        return Self.refusal(request, 404, "not_found", "there is nothing at \(request.rawPath)\n")
    }

    /// A body that could not be read: the server answers that itself.
    private func fail(_ failure: HTTPHandlerFailure) throws(AdminRefusal) -> HTTPResponse {
        switch failure {
        case .refused(let status, let message):
            throw AdminRefusal(status: status, code: "bad_body", message: message + "\n")
        case .cut, .reset: throw AdminRefusal(status: 400, code: "bad_body", message: "the body is incomplete\n")
        }
    }

    // MARK: Reading

    private func metrics() async -> HTTPResponse {
        let overview = await source.overview()
        return HTTPResponse(
            fields: ["Content-Type": MetricsText.contentType, "Cache-Control": "no-store"],
            body: .stream(length: nil) { (writer) throws(HTTPHandlerFailure) in
                var text = MetricsText(overview)
                var bytes: [UInt8] = []
                while text.next(into: &bytes) {
                    try await Self.write(bytes, to: writer)
                    bytes.removeAll(keepingCapacity: true)
                }
            })
    }

    private func status(_ request: HTTPRequest) async throws(AdminRefusal) -> HTTPResponse {
        let isColored = request.query("color") == "1"
        let frame = LoopBound(LastFrame(), on: ControlActor.loop)
        return try shown(request) { (isTable, writer) throws(HTTPHandlerFailure) in
            guard isTable else { return try await self.writeJSON(to: writer) }
            let last = frame.open()
            last.frame = try await self.writeTable(after: last.frame, isColored: isColored, to: writer)
        }
    }

    /// What the next table of a stream is compared with.
    private final class LastFrame { var frame: StatusTable.Frame? }

    private func detail(_ request: HTTPRequest, _ names: [String]) async throws(AdminRefusal) -> HTTPResponse {
        let names = names.map { PercentText.decode($0.utf8, plusIsSpace: false) }
        let (group, target) = (names.count == 2 ? names[0] : nil, names[names.count - 1])
        // A wrong name is a refusal and not an empty stream.
        _ = try await source.details(target: target, group: group)
        let isColored = request.query("color") == "1"
        return try shown(request) { (isTable, writer) throws(HTTPHandlerFailure) in
            let details: [TargetDetail]
            // It may go while somebody watches.
            do throws(AdminRefusal) { details = try await self.source.details(target: target, group: group) } catch {
                throw .cut
            }
            try await writer.write(isTable ? Array(details.table(isColored: isColored).utf8) : details.json)
        }
    }

    /// An answer in the form that the query asks for, again and again where it asks for that.
    ///
    /// - Parameter write: one frame, as a table or as a line of JSON.
    private func shown(
        _ request: HTTPRequest,
        _ write: @escaping @Sendable @ControlActor (Bool, HTTPResponseWriter) async throws(HTTPHandlerFailure) -> Void
    ) throws(AdminRefusal) -> HTTPResponse {
        let format = request.query("format") ?? "json"
        guard ["json", "table"].contains(format) else {
            throw AdminRefusal(status: 400, code: "bad_query", message: "format is json or table, not '\(format)'\n")
        }
        var period: Nanoseconds?
        if let text = request.query("watch") {
            guard let milliseconds = Int64(text), (100...3_600_000).contains(milliseconds) else {
                throw AdminRefusal(
                    status: 400, code: "bad_query", message: "watch is a number of milliseconds from 100 to 3600000\n")
            }
            period = .milliseconds(milliseconds)
        }
        let isTable = format == "table"
        let every = period
        return HTTPResponse(
            fields: [
                "Content-Type": isTable ? "text/plain; charset=utf-8" : "application/json", "Cache-Control": "no-store",
            ],
            body: .stream(length: nil) { (writer) throws(HTTPHandlerFailure) in
                while true {
                    try await write(isTable, writer)
                    // Ends a frame: the client clears the screen.
                    if isTable, every != nil { try await writer.write([0x0C]) }
                    guard let every, await self.pause(every) else { return }
                }
            })
    }

    private func writeTable(
        after frame: StatusTable.Frame?, isColored: Bool, to writer: HTTPResponseWriter
    ) async throws(HTTPHandlerFailure) -> StatusTable.Frame {
        let table = StatusTable(
            await source.overview(), at: Clock.monotonic, after: frame, isColored: isColored)
        try await writer.write(Array(table.render().utf8))
        return table.frame
    }

    private func writeJSON(to writer: HTTPResponseWriter) async throws(HTTPHandlerFailure) {
        var json = StatusJSON(await source.overview())
        var bytes: [UInt8] = []
        while json.next(into: &bytes) {
            try await Self.write(bytes, to: writer)
            bytes.removeAll(keepingCapacity: true)
        }
    }

    /// Sends a piece, and lets the loop do other work before the next.
    private static func write(_ bytes: [UInt8], to writer: HTTPResponseWriter) async throws(HTTPHandlerFailure) {
        guard !bytes.isEmpty else { return }
        try await writer.write(bytes)
        do { try await ControlActor.loop.sleep(for: .zero) } catch { throw .cut }
    }

    /// - Returns: false when the server stops meanwhile.
    private func pause(_ span: Nanoseconds) async -> Bool {
        do { try await ControlActor.loop.sleep(for: span) } catch { return false }
        return !isStopping
    }

    // MARK: Changing

    private func apply(_ request: HTTPRequest, _ body: [UInt8]) async throws(AdminRefusal) -> ApplySummary {
        let bundle: ConfigBundle
        if request.fields["Content-Type"] == ConfigBundle.contentType {
            guard let sent = ConfigBundle(parsing: body) else {
                throw AdminRefusal(status: 400, code: "bad_body", message: "this is no bundle\n")
            }
            bundle = sent
        } else {
            bundle = ConfigBundle(text: body, name: "configuration")
        }
        return try await source.apply(bundle)
    }

    private func target(
        _ request: HTTPRequest, group: String, target: String, verb: String
    ) async throws(AdminRefusal) -> HTTPResponse {
        let group = PercentText.decode(group.utf8, plusIsSpace: false)
        let target = PercentText.decode(target.utf8, plusIsSpace: false)
        switch verb {
        case "undrain": return Self.answer(request, try await source.undrain(group: group, target: target))
        case "weight" where request.method == "DELETE":
            return Self.answer(request, try await source.setWeight(nil, group: group, target: target))
        case "weight":
            let text = request.query("weight") ?? ""
            guard let weight = Int(text), (0...256).contains(weight) else {
                throw AdminRefusal(
                    status: 400, code: "bad_weight", message: "'\(text)' is not a weight\nhelp: use 0 to 256\n")
            }
            return Self.answer(request, try await source.setWeight(weight, group: group, target: target))
        default:
            var report = try await source.drain(group: group, target: target)
            while request.query("wait") == "1", report.state == .draining, await pause(Self.waitInterval) {
                report = try await source.report(group: group, target: target)
            }
            return Self.answer(request, report)
        }
    }

    // MARK: Answers

    private static func wantsText(_ request: HTTPRequest) -> Bool { request.fields["Accept"] == "text/plain" }

    private static func answer(_ request: HTTPRequest, _ report: TargetReport) -> HTTPResponse {
        guard !wantsText(request) else { return HTTPResponse(text: report.text) }
        var json = JSONText([UInt8]())
        report.write(to: &json)
        return HTTPResponse(json: json.sink + [0x0A])
    }

    private static func answer(_ request: HTTPRequest, _ summary: ApplySummary) -> HTTPResponse {
        guard !wantsText(request) else { return HTTPResponse(text: summary.report) }
        var json = JSONText([UInt8]())
        summary.write(to: &json)
        return HTTPResponse(json: json.sink + [0x0A])
    }

    private static func notAllowed(_ request: HTTPRequest, _ methods: String) -> HTTPResponse {
        var response = refusal(request, 405, "method_not_allowed", "\(request.method) is not allowed: \(methods)\n")
        response.fields["Allow"] = methods
        return response
    }

    private static func refusal(
        _ request: HTTPRequest, _ status: Int, _ code: String, _ message: String
    ) -> HTTPResponse {
        guard !wantsText(request) else {
            return HTTPResponse(
                status: status, fields: ["Content-Type": "text/plain; charset=utf-8"],
                body: .bytes(Array(message.utf8)))
        }
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("error", code)
        json.member("message", message)
        json.endObject()
        return HTTPResponse(status: status, json: json.sink + [0x0A])
    }
}
