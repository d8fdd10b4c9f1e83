/// What is counted per target. Raw values are positions in its ``CounterBlock``.
public enum TargetCounter {
    /// Exchanges in flight: what "least connections" compares. A gauge.
    public static let inFlight = 0
    /// Open connections, idle ones included. A gauge.
    public static let connections = 1
    public static let requests = 2
    /// Answers by class: 1xx is not counted; 2xx at +0 … 5xx at +3.
    public static let status2xx = 3
    /// Tries that found no connection.
    public static let connectFailures = 7
    /// Tries that ended after a connection: cut, timeout, faulty answer.
    public static let failures = 8
    /// Tries that went on to another target.
    public static let retries = 9
    public static let bytesToTarget = 10
    public static let bytesFromTarget = 11
    /// Times a pooled connection was used again.
    public static let reuses = 12
    /// Answers with 502, 503 or 504 that were passed on, counted at their head: failures to passive checks.
    public static let unavailableAnswers = 13
    /// HTTP/2 connections that were ended, and streams that were reset, for what the target did. Without its kind: there
    /// may be thousands of targets.
    public static let http2Ends = 14
    public static let http2Faults = 15
    /// Not a count: the worker's `PeakAverage` of answer times, in groups that go by it.
    public static let answerTime = 16
    /// Microseconds from the choice of the target to the head of its answer, over all answers that are counted by class.
    public static let answerMicroseconds = 17
    /// Load reports in answers, in groups that go by them, and what they add up to: utilization in 65,536ths, requests and
    /// errors per second in thousandths.
    public static let loadReports = 18
    public static let loadUtilization = 19
    public static let loadRequestRate = 20
    public static let loadErrorRate = 21
    /// Those that could not be read.
    public static let badLoadReports = 22
    public static let width = 23
}

/// What is counted per target group.
public enum GroupCounter {
    public static let inFlight = 0
    public static let requests = 1
    public static let status2xx = 2
    public static let tries = 6
    public static let retries = 7
    public static let retriesRefusedByBudget = 8
    /// Exchanges waiting for a target's slot. A gauge.
    public static let queued = 9
    public static let queueOverflows = 10
    public static let queueTimeouts = 11
    /// Requests that fail-open sent to a target known to be bad.
    public static let failOpen = 12
    public static let noTarget = 13
    public static let sorry = 14
    /// Requests that a backup group went on with.
    public static let handedOn = 15
    public static let width = 16
}

/// What is counted per listener.
public enum ListenerCounter {
    /// A gauge.
    public static let connections = 0
    public static let accepted = 1
    public static let requests = 2
    public static let status2xx = 3
    public static let bytesFromClients = 7
    public static let bytesToClients = 8
    /// Answers that Poise made itself.
    public static let generated = 9
    public static let clientAborts = 10
    public static let tunnels = 11
    /// A gauge.
    public static let inFlight = 12
    /// Listening sockets that accept nothing for now, one per address and worker. A gauge.
    public static let heldSockets = 13
    /// How often accepting was put on hold: a counter per cause, by the raw value of the data plane's cause.
    public static let firstHold = 14
    public static let holdCount = 4
    /// Connections that were accepted and not served: a counter per reason, by the raw value of the data plane's reason.
    public static let firstConnectionRefusal = firstHold + holdCount
    public static let connectionRefusalCount = 4
    /// How exchanges ended: a counter per reason, by the raw value of the data plane's reason.
    public static let firstReason = firstConnectionRefusal + connectionRefusalCount
    public static let reasonCount = 64
    /// Why messages were refused, by the raw value of the codec's reason.
    public static let firstRefusal = firstReason + reasonCount
    public static let refusalCount = 64
    /// TLS handshakes that succeeded.
    public static let fullHandshakes = firstRefusal + refusalCount
    public static let resumedHandshakes = fullHandshakes + 1
    /// TLS handshakes that failed: a counter per reason, in the order of the data plane's reasons.
    public static let firstHandshakeFailure = resumedHandshakes + 1
    public static let handshakeFailureCount = 24
    /// Connections that spoke HTTP/2, and those that do. The second is a gauge.
    public static let http2Connections = firstHandshakeFailure + handshakeFailureCount
    public static let http2Open = http2Connections + 1
    /// HTTP/2 connections that Poise ended for what the client did: a counter per fault, by its raw value.
    public static let firstHTTP2End = http2Open + 1
    /// HTTP/2 streams that Poise reset or refused for what the client did, likewise.
    public static let firstHTTP2Fault = firstHTTP2End + http2FaultCount
    public static let http2FaultCount = 64
    public static let width = firstHTTP2Fault + http2FaultCount
}

/// What is counted per rule.
public enum RuleCounter {
    public static let requests = 0
    public static let status2xx = 1
    public static let width = 8
}

/// The offset of a status in the four class counters; `nil` below 200.
@inlinable public func statusClassOffset(_ status: Int) -> Int? {
    status >= 200 ? min(status / 100, 5) - 2 : nil
}
