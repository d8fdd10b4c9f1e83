import PoiseModel
import PoiseTLS
import PoiseTelemetry

/// Warns of certificates that have expired or soon will, and of OCSP responses that are not sent: each once a day.
struct ExpiryWatch {
    /// A certificate, and who shows it.
    struct Shown {
        let owner: (name: String, value: String)
        let files: CertificateFiles
        let certificate: Certificate
    }

    private struct Told {
        var at: Int64
        var isExpired: Bool
    }

    static let day: Int64 = 86_400
    /// Long enough for whoever renews by hand.
    static let warnedFor = 30 * day
    /// Lines at once; a line more says how many there would have been.
    static let linesMax = 20

    /// By fingerprint, for OCSP responses with the reason behind it.
    private var told: [String: Told] = [:]

    /// - Parameter now: seconds since 1970.
    mutating func due(_ shown: [Shown], at now: Int64) -> [OperationalEvent] {
        var events: [OperationalEvent] = []
        var more = 0
        told = told.filter { now - $0.value.at < Self.day }
        for entry in shown {
            if let event = staple(entry, at: now) {
                if events.count < Self.linesMax { events.append(event) } else { more += 1 }
            }
            let left = entry.certificate.notAfter - now
            // The one for trying things out is young whenever it is made, and nobody can renew it.
            guard left <= 0 || left < Self.warnedFor && !entry.files.isSelfSigned else { continue }
            if let before = told[entry.certificate.fingerprint], before.isExpired == (left <= 0) { continue }
            told[entry.certificate.fingerprint] = Told(at: now, isExpired: left <= 0)
            guard events.count < Self.linesMax else {
                more += 1
                continue
            }
            events.append(Self.event(entry, left: left))
        }
        if more > 0 {
            events.append(
                OperationalEvent(
                    .warning, "further certificates expire soon, or have no OCSP response", [("count", "\(more)")]))
        }
        return events
    }

    /// A response that is not sent: because of what it says, or because no newer one came in its time.
    private mutating func staple(_ shown: Shown, at now: Int64) -> OperationalEvent? {
        guard let problem = shown.certificate.ocspProblem(at: now) else { return nil }
        let name = "\(shown.certificate.fingerprint) \(problem)"
        guard told[name] == nil else { return nil }
        told[name] = Told(at: now, isExpired: true)
        return OperationalEvent(
            .warning, "an OCSP response is not sent",
            [
                shown.owner, ("file", shown.files.file(of: .ocsp)), ("reason", "\(problem)\(problem.day)"),
                ("fingerprint", shown.certificate.fingerprint),
            ])
    }

    private static func event(_ shown: Shown, left: Int64) -> OperationalEvent {
        let file = shown.files.isSelfSigned ? "self-signed" : shown.files.certificate
        let fields = [shown.owner, ("file", file)] + OperationalEvent.fields(of: shown.certificate)
        return left <= 0
            ? OperationalEvent(.error, "a certificate has expired", fields)
            : OperationalEvent(.warning, "a certificate expires soon", fields + [("days left", "\(left / day)")])
    }
}
