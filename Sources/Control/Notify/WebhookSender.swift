import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// Sends notifications as POST requests.
@ControlActor
final class WebhookSender {
    private let loop: EventLoop
    private let addresses: (String) -> [IPAddress]
    private let userAgent: String
    private lazy var engine = TLSEngine(loop: loop)
    /// By file of authorities, empty for the system's. Forgotten with each configuration, so that a renewed file counts.
    private var contexts: [String: TLSClientContext] = [:]

    /// - Parameter addresses: those of a name, as far as they are known.
    init(loop: EventLoop, version: String, addresses: @escaping (String) -> [IPAddress]) {
        (self.loop, self.addresses) = (loop, addresses)
        userAgent = "poise/\(version)"
    }

    /// Files of authorities are read again for the next request.
    func forgetContexts() { contexts = [:] }

    /// One try, on the name's addresses in turn until one takes the connection; ends within the hook's timeout.
    func send(_ notification: Notification, by hook: NotifyHook) async -> DeliveryQueue.Outcome {
        guard let url = hook.webhook else { return .refused("the hook has no webhook") }
        let deadline = loop.now + hook.timeout
        let found = url.address.map { [$0] } ?? addresses(url.host)
        guard !found.isEmpty else { return .failed("the name \(url.host) does not resolve") }
        let security: HTTPClient.Security?
        do { security = try await self.security(url, hook) } catch { return .failed(error.text) }
        var fields: HTTPFields = ["Content-Type": "application/json", "User-Agent": userAgent]
        for header in hook.headers { fields.lines.append(.init(header.name, header.value)) }
        let request = HTTPClientRequest(
            method: "POST", target: url.target, host: url.authority, fields: fields, body: notification.json)
        var failure = "no address"
        for (index, address) in found.enumerated() {
            // The last one may use all that is left; an address that does not answer leaves the others their share.
            let share = (deadline - loop.now) / Int64(found.count - index)
            let client = HTTPClient(loop: loop, security: security)
            do throws(HTTPClientFailure) {
                let answer = try await client.stream(
                    request, to: .ip(address, port: url.port), deadline: loop.now + share
                ) { _ in false }
                return Self.outcome(ofStatus: answer.status)
            } catch {
                failure = Self.text(error)
                // Once the request may have arrived, no other address is tried: that would tell twice.
                guard error.isBeforeRequest, loop.now < deadline else { break }
            }
        }
        return .failed(failure)
    }

    /// 2xx is taken; 408, 429 and what is no answer of the receiver's own will are tried again.
    private static func outcome(ofStatus status: Int) -> DeliveryQueue.Outcome {
        switch status {
        case 200...299: .delivered
        case 408, 429, 500...: .failed("status \(status)")
        default: .refused("status \(status)")
        }
    }

    private func security(_ url: WebhookURL, _ hook: NotifyHook) async throws(SetupFailure) -> HTTPClient.Security? {
        guard url.isSecure else { return nil }
        let expected: TLSPeer.ExpectedName = url.address.map { .address($0) } ?? .name(url.host)
        let peer = TLSPeer(serverName: url.address == nil ? url.host : nil, expectedName: expected)
        let file = hook.caFile ?? ""
        let context: TLSClientContext
        if let known = contexts[file] {
            context = known
        } else {
            // The file may lie on a disk that hangs, and the system's authorities take a few milliseconds.
            context = try await HelperThread.run("webhook-tls") { Self.load(file) }.get()
            contexts[file] = context
        }
        return HTTPClient.Security(context: context, peer: peer, engine: engine)
    }

    /// Why there is no TLS to speak.
    private struct SetupFailure: Error { let text: String }

    private nonisolated static func load(_ file: String) -> Result<TLSClientContext, SetupFailure> {
        var verification = TLSClientContext.Verification.system
        if !file.isEmpty {
            do throws(SystemError) { verification = .authorities(try Files.read(file, limit: 16 << 20)) } catch {
                return .failure(SetupFailure(text: "\(file): \(error.reason)"))
            }
        }
        do throws(TLSSetupError) {
            return .success(
                try TLSClientContext(policy: .intermediate, verification: verification, protocols: [.http11]))
        } catch {
            return .failure(SetupFailure(text: error.description))
        }
    }

    private static func text(_ failure: HTTPClientFailure) -> String {
        switch failure {
        case .connect(let error): "no connection: \(error)"
        case .tls(let failure): "TLS: \(failure)"
        case .untrusted: "untrusted"
        case .timeout(.connecting): "no connection in time"
        case .timeout: "no answer in time"
        case .cut: "the connection ended before the answer"
        case .malformed(let reason): "the answer is not HTTP: \(reason.name)"
        case .tooLarge: "the answer is too large"
        case .badRequest: "the request cannot be written"
        case .cancelled: "cancelled"
        }
    }
}

extension HTTPClientFailure {
    /// Nothing of the request has left.
    fileprivate var isBeforeRequest: Bool {
        switch self {
        case .connect, .tls, .timeout(.connecting): true
        case .untrusted, .timeout, .cut, .malformed, .tooLarge, .badRequest, .cancelled: false
        }
    }
}
