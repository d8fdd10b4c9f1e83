import PoiseHealth
import PoiseModel
import PoisePackets

/// Why a target changed its state, as it is remembered: numbers only, text is made when somebody looks. At 100 entries
/// for each of 10,000 targets, what an entry weighs is what the history costs.
public enum Evidence: Sendable, Equatable {
    /// Nobody looked: it follows from the configuration, or from time alone.
    case none
    /// What a probe saw, behind which PROXY header where that may be what failed it, and after how long; of which
    /// check, where a target has several. In this order the header lies in what alignment leaves free.
    case probe(
        ProbeResult.Detail, suspect: ProxyProtocolHeader.Version?, milliseconds: UInt32, of: CheckName?)
    /// Failures in a row that a worker saw.
    case failuresInRow(UInt32)
    /// Exchanges within the window of the failure rate.
    case failures(UInt32, of: UInt32)
    /// How far from the group's other targets, where 100 is as far as they may be.
    case outlier(percentOfLimit: UInt32)
    /// What became of a name, in words.
    case name(String)
    /// Somebody asked for it over the admin API.
    case operatorAction
    /// A configuration came into force.
    case configuration
    /// The time of an ejection, or of a drain, is over.
    case timeIsOver
    /// The last flow of a draining target ended.
    case lastFlowEnded
    /// Flows that were cut at the end of a drain.
    case flowsCut(UInt32)

    /// What a check is called, once for all entries that name it: it may be gone from the configuration by then.
    public final class CheckName: Sendable, Equatable {
        public let text: String
        init(_ text: String) { self.text = text }
        public static func == (a: CheckName, b: CheckName) -> Bool { a.text == b.text }
    }

    init(_ result: ProbeResult, of check: CheckName? = nil) {
        self = .probe(
            result.detail, suspect: result.suspect, milliseconds: UInt32(clamping: result.duration.milliseconds),
            of: check)
    }

    /// `status 503 after 2 ms`, `5 failures in a row`; `nil` where nobody looked.
    public var text: String? {
        switch self {
        case .none: nil
        case .probe(let detail, let suspect, let milliseconds, let check):
            (check.map { "\($0.text): " } ?? "")
                + detail.evidence(after: .milliseconds(Int64(milliseconds)), suspect: suspect)
        case .failuresInRow(let count): "\(count) failures in a row"
        case .failures(let failed, let total): "\(failed) of \(total) exchanges failed"
        case .outlier(let percent): "\(percent) % of what the group's settings allow"
        case .name(let text): text
        case .operatorAction: "asked for over the admin API"
        case .configuration: "configuration applied"
        case .timeIsOver: "its time is over"
        case .lastFlowEnded: "its last flow ended"
        case .flowsCut(let count): "\(count) flows were cut at the deadline"
        }
    }
}

/// One entry of a target's history.
public struct HistoryEntry: Sendable, Equatable {
    public var status: TargetHealth.Status
    /// What it was before; of the first entry, the same.
    public var previousState: TargetState
    public var previousReason: TargetReason
    public var evidence: Evidence

    init(_ status: TargetHealth.Status, after previous: TargetHealth.Status? = nil, evidence: Evidence = .none) {
        (self.status, self.evidence) = (status, evidence)
        (previousState, previousReason) = (previous?.state ?? status.state, previous?.reason ?? status.reason)
    }
}
