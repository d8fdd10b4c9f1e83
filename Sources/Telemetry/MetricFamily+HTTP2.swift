import PoiseHTTP
import PoiseLive
import PoiseModel

/// Metrics of HTTP/2, towards clients and towards targets.
extension MetricFamily {
    static let http2: [MetricFamily] = [
        .gauge("poise_listener_http2_connections", .listener, ListenerCounter.http2Open, "Open HTTP/2 connections."),
        .counter(
            "poise_listener_http2_connections_total", .listener, ListenerCounter.http2Connections,
            "Connections that spoke HTTP/2."),
        .counters(
            "poise_listener_http2_connections_ended_total", .listener, ListenerCounter.firstHTTP2End, by: "reason",
            of: HTTP2Fault.self,
            "HTTP/2 connections that Poise ended for what the client did; reasons that never occurred are left out."
        ) { $0.name },
        .counters(
            "poise_listener_http2_stream_faults_total", .listener, ListenerCounter.firstHTTP2Fault, by: "fault",
            of: HTTP2Fault.self,
            "HTTP/2 streams that Poise reset or refused for what the client did; faults that never occurred are left out."
        ) { $0.name },
    ]

    static let http2OfTargets: [MetricFamily] = [
        .counter(
            "poise_target_http2_connections_ended_total", .target, TargetCounter.http2Ends,
            "HTTP/2 connections that Poise ended for what the target did or failed to do."),
        .counter(
            "poise_target_http2_stream_faults_total", .target, TargetCounter.http2Faults,
            "HTTP/2 streams that Poise reset for what the target did."),
    ]
}
