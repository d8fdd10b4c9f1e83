import PoiseControl
import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform

/// One question to the running Poise over its admin socket.
struct AdminClient {
    static let option = CommandOption(
        "admin", value: "PATH", help: "the admin socket (default: $POISE_ADMIN, or where Poise puts it)")

    /// The verb, for messages.
    let verb: String
    private let place: AdminSocket
    var socket: String { place.path }

    init(verb: String, _ reader: ArgumentReader) throws(UsageError) {
        self.verb = verb
        if let path = reader.string("admin"), !path.hasPrefix("/") {
            throw UsageError(problem: "--admin: '\(path)' is not an absolute path", fix: "begin it with a slash")
        }
        place = AdminSocket(reader.string("admin"))
    }

    /// Asks and prints: what a success says to standard output, the rest to standard error.
    ///
    /// - Parameter take: gets the content as it comes, of a refusal too; `nil` prints it at once.
    /// - Returns: the exit status: 5 when nobody answers, 3 for a configuration that is refused, 1 for other refusals.
    func run(
        _ method: String, _ target: String, type: String? = nil, body: [UInt8] = [],
        take: (@Sendable (Span<UInt8>) -> Void)? = nil
    ) -> Int32 {
        do { try place.checkFolder() } catch {
            Console.error("poise \(verb): \(error.problem)\nhelp: \(error.fix)")
            return 5
        }
        Signals.block([])
        var fields: HTTPFields = ["Accept": "text/plain"]
        fields["Content-Type"] = type
        let request = HTTPClientRequest(method: method, target: target, host: "poise", fields: fields, body: body)
        let executor = LoopExecutor()
        let loop = EventLoop(executor: executor)
        let status = Lock<Int32>(1)
        let client = self
        executor.start {
            let code = await client.ask(request, executor.loop, take)
            status.withLock { $0 = code }
            executor.loop.stop()
        }
        loop.run()
        return status.withLock { $0 }
    }

    private func ask(
        _ request: HTTPClientRequest, _ loop: EventLoop, _ take: (@Sendable (Span<UInt8>) -> Void)?
    ) async -> Int32 {
        let client = HTTPClient(loop: loop, trusts: place.trusts)
        do throws(HTTPClientFailure) {
            guard let take else {
                let response = try await client.send(
                    request, to: .unix(path: socket), deadline: .distantFuture, bodyBytesMax: 256 * 1024 * 1024)
                return print(response.status, response.body)
            }
            let response = try await client.stream(
                request, to: .unix(path: socket), deadline: .distantFuture
            ) { piece in
                take(piece)
                return true
            }
            return response.status < 300 ? 0 : 1
        } catch {
            return report(error)
        }
    }

    private func print(_ status: Int, _ body: [UInt8]) -> Int32 {
        var text = String(decoding: body, as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        guard status >= 300 else {
            Console.print(text)
            return 0
        }
        Console.error("poise \(verb): \(text)")
        return status == 422 ? 3 : 1
    }

    private func report(_ failure: HTTPClientFailure) -> Int32 {
        let problem: String
        switch failure {
        case .connect(let error) where error.code == Errno.accessDenied:
            Console.error(
                "poise \(verb): no access to \(socket): \(error)\nhelp: use the user or the group that owns it")
            return 5
        case .connect(let error):
            Console.error(
                "poise \(verb): no Poise answers at \(socket): \(error)\n"
                    + "help: start it with 'poise run FILE', or name its socket with --admin PATH")
            return 5
        case .untrusted(let userID):
            Console.error(
                "poise \(verb): the user with id \(userID) listens at \(socket), who is neither you nor root "
                    + "nor the owner of its folder\nhelp: find out who that is, or name another socket with --admin PATH"
            )
            return 5
        case .tls(let failure): problem = "no TLS: \(failure)"
        case .timeout: problem = "no answer in time"
        case .cut: problem = "the connection ended before the answer was complete"
        case .malformed(let reason): problem = "the answer is not HTTP (\(reason.name))"
        case .tooLarge: problem = "the answer is too large"
        case .badRequest: problem = "the names cannot be sent"
        case .cancelled: problem = "cancelled"
        }
        Console.error("poise \(verb): \(problem), at \(socket)\nhelp: look at what Poise says on its standard error")
        return 1
    }
}

/// Names as parts of a path.
enum PathSegment {
    /// Everything but letters, digits, `-`, `.`, `_` and `~` percent-encoded. RFC 3986 §2.3
    static func encode(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }
}
