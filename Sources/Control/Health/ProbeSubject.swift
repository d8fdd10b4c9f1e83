import PoiseModel
import PoisePlatform
import PoiseProxy

/// What texts of a check say of the target: of a check that has one, each target of each group has its own.
struct ProbeSubject: Equatable {
    /// An IP address, or the path of a unix socket.
    let address: String
    /// 0 of a unix socket.
    let port: UInt16
    let group: String
    /// As status shows it.
    let target: String

    init(address: String, port: UInt16, group: String, target: String) {
        (self.address, self.port, self.group, self.target) = (address, port, group, target)
    }

    /// - Returns: `nil` for a check that says the same of all targets at an address.
    init?(_ check: HealthCheck, of target: CompiledTarget, in group: CompiledGroup) {
        switch check.kind {
        case .tcp, .tls, .http, .grpc, .script, .dns, .icmp: return nil
        case .agent(let probe): guard let send = probe.send, ProbePlaceholder.isUsed(in: send) else { return nil }
        case .exec, .file: break
        }
        let name = group.settings.displayName
        switch target.address {
        case .ip(let ip, let port): self.init(address: "\(ip)", port: port, group: name, target: target.label)
        case .unix(let path): self.init(address: path, port: 0, group: name, target: target.label)
        }
    }

    func fill(_ text: String) -> String {
        ProbePlaceholder.fill(text) { placeholder in
            switch placeholder {
            case .address: address
            case .port: "\(port)"
            case .group: group
            case .target: target
            }
        }
    }
}
