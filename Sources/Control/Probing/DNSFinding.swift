import PoiseModel
import PoisePackets

/// What a nameserver's answer amounts to.
public enum DNSFinding: Sendable, Equatable {
    /// So many records of the type that was asked for, and the one that was wanted among them.
    case answers(Int)
    case refused(String)
    /// NOERROR, and no record of that type.
    case empty
    /// Other addresses than the one that was wanted; at most three of them.
    case others([IPAddress], wanted: IPAddress)
    case malformed(DNSMessage.Refusal)

    init(_ answer: DNSMessage, _ probe: DNSProbe) {
        let records = answer.answers.filter { $0.type == probe.record.number && $0.dnsClass == 1 }
        let addresses = records.compactMap { if case .address(let address) = $0.data { address } else { nil } }
        if answer.responseCode != 0 {
            self = .refused(answer.responseCodeName)
        } else if records.isEmpty {
            self = .empty
        } else if let wanted = probe.answer, !addresses.contains(wanted) {
            self = .others(Array(addresses.prefix(3)), wanted: wanted)
        } else {
            self = .answers(records.count)
        }
    }

    var isGood: Bool { if case .answers = self { true } else { false } }

    /// `NXDOMAIN`, `2 records`
    var text: String {
        switch self {
        case .answers(let count): "\(count) record\(count == 1 ? "" : "s")"
        case .refused(let code): code
        case .empty: "NOERROR without a record of that type"
        case .others(let others, let wanted):
            "expected \(wanted), got \(others.map(\.description).joined(separator: ", "))"
        case .malformed(let refusal): "not DNS: \(refusal.name)"
        }
    }
}
