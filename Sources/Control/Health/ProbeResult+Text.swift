import PoiseHealth
import PoiseModel
import PoisePlatform

/// What was seen of a file.
public enum FileState: Sendable, Equatable {
    case exists, missing
    /// Nobody can tell: a positive errno.
    case unknown(CInt)
    /// The file system has not answered the last probe's question yet.
    case noAnswer

    /// Why nobody can tell; `nil` where the look told.
    var problem: String? {
        switch self {
        case .exists, .missing: nil
        case .unknown(let code): SystemError(call: "", code: code).reason
        case .noAnswer: "the file system does not answer"
        }
    }

    var text: String {
        if let problem { return "cannot be looked at: \(problem)" }
        return self == .exists ? "exists" : "does not exist"
    }
}

extension ProbeResult {
    static func text(_ report: AgentReport) -> String {
        guard !report.isEmpty else {
            return report.unknownWord.map { "agent: not understood: '\($0)'" } ?? "agent: says nothing"
        }
        return "agent: \(report.text)" + (report.unknownWord.map { ", not understood: '\($0)'" } ?? "")
    }

    static func text(_ end: CommandResult.End, _ timeout: Nanoseconds, _ line: String) -> String {
        let reason = CommandResult(end: end, output: [], isOutputCut: false, startedAt: .zero, duration: Nanoseconds(0))
            .reason(timeout: timeout)
        return line.isEmpty ? reason : "\(reason): \(line)"
    }
}
