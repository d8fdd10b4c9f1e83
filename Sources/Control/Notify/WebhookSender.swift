import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoiseTLS

/// Sends notifications as POST requests.
@ControlActor
final class WebhookSender {
    private let loop: EventLoop
    private let addresses: (String) -> [IPAddress]
    private let authorities: (String) -> [UInt8]?
    private let userAgent: String
    private lazy var engine = TLSEngine(loop: loop)
    /// By file of authorities, empty for the system's: what it held, and the context made of it. Forgotten with each
    /// configuration.
    private var contexts: [String: (authorities: [UInt8]?, context: TLSClientContext)] = [:]

    /// - Parameters:
    ///   - addresses: those of a name, as far as they are known.
    ///   - authorities: what a file held when it was read last; `nil` for one that the configuration does not name.
    init(
        loop: EventLoop, version: String, addresses: @escaping (String) -> [IPAddress],
        authorities: @escaping (String) -> [UInt8]?
    ) {
        (self.loop, self.addresses, self.authorities) = (loop, addresses, authorities)
        userAgent = "poise/\(version)"
    }

    /// The system's authorities are read again for the next request.
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
        // A renewed file means another context.
        let own = hook.caFile.flatMap(authorities)
        let context: TLSClientContext
        if let known = contexts[file], known.authorities == own {
            context = known.context
        } else if hook.caFile != nil, own == nil {
            throw SetupFailure(text: "\(file): no longer part of the configuration")
        } else {
            // The system's authorities lie on a disk that may hang, and take a few milliseconds.
            context = try await HelperThread.run("webhook-tls") { Self.context(verifyingWith: own) }.get()
            contexts[file] = (own, context)
        }
        return HTTPClient.Security(context: context, peer: peer, engine: engine)
    }

    /// Why there is no TLS to speak.
    private struct SetupFailure: Error { let text: String }

    /// - Parameter authorities: `nil` for the system's.
    private nonisolated static func context(
        verifyingWith authorities: [UInt8]?
    ) -> Result<TLSClientContext, SetupFailure> {
        do throws(TLSSetupError) {
            return .success(
                try TLSClientContext(
                    policy: .intermediate, verification: authorities.map { .authorities($0) } ?? .system,
                    protocols: [.http11]))
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
