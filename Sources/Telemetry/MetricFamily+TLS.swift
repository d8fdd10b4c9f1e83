import PoiseLive
import PoiseModel
import PoiseProxy
import PoiseTLS

/// Metrics of listeners that speak TLS; others have no samples.
extension MetricFamily {
    static let handshakes = MetricFamily(
        name: "poise_listener_tls_handshakes_total", kind: .counter,
        help: "TLS handshakes that succeeded, full ones and those that resumed a session.", subject: .listener
    ) { objects, index, writer in
        let listener = objects.listener(index)
        guard listener.tls != nil else { return }
        let kinds = [("full", ListenerCounter.fullHandshakes), ("resumed", ListenerCounter.resumedHandshakes)]
        for (kind, counter) in kinds {
            writer.begin()
            objects.label(.listener, index, &writer)
            writer.label("kind", kind)
            writer.value(listener.counters.sum(counter))
        }
    }

    static let handshakeFailures = MetricFamily(
        name: "poise_listener_tls_handshake_failures_total", kind: .counter,
        help: "TLS handshakes that failed, by why; reasons that never occurred are left out.", subject: .listener
    ) { objects, index, writer in
        let counters = objects.listener(index).counters
        for reason in TLSFailure.Reason.allCases {
            let count = counters.sum(ListenerCounter.firstHandshakeFailure + reason.index)
            guard count > 0 else { continue }
            writer.begin()
            objects.label(.listener, index, &writer)
            writer.label("reason", reason.rawValue)
            writer.value(count)
        }
    }

    /// One sample of each certificate of a listener.
    static func certificates(
        _ name: String, _ help: String, _ value: @escaping @Sendable (Overview.CertificateFacts) -> SampleValue
    ) -> MetricFamily {
        MetricFamily(name: name, kind: .gauge, help: help, subject: .listener) { objects, index, writer in
            for certificate in objects.overview.listeners[index].certificates {
                writer.begin()
                objects.label(.listener, index, &writer)
                writer.label("certificate", certificate.file)
                writer.value(value(certificate))
            }
        }
    }
}
