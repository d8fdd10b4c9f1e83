import PoiseModel

/// What each request asks of its listener's settings, apart from the names and lists beside it: whoever reaches for
/// one of them through the compiled listener counts references to what lies around it.
struct RequestSettings {
    let hasRoutes: Bool
    let allowsTrace: Bool
    let bodyBytesMax: Int
    /// `X-Forwarded-For`, `-Proto`, `-Port`.
    let xForwarded: Bool
    let forwarded: Bool
    let requestID: Bool
    let amazonTraceID: Bool
    let tellsVersionAndCipher: Bool

    init(_ compiled: CompiledListener) {
        let forwarding = compiled.settings.forwarding
        hasRoutes = !compiled.routes.isEmpty
        allowsTrace = compiled.settings.allowsTrace
        bodyBytesMax = compiled.settings.limits.bodyBytesMax ?? .max
        (xForwarded, forwarded) = (forwarding.xForwarded, forwarding.forwarded)
        (requestID, amazonTraceID) = (forwarding.requestID, forwarding.amazonTraceID)
        tellsVersionAndCipher = compiled.settings.tls?.tellsVersionAndCipher ?? false
    }
}
