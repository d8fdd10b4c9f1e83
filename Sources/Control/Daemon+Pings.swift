import PoiseModel
import PoisePlatform

extension Daemon {
    /// ICMP checks that nobody lets us make: a configuration with such a one would take every target for dead, so it is refused.
    /// The sockets are opened here, and with root's rights where `process.user` takes them away later.
    func pingRefusals(in configuration: Configuration) -> [ConfigError] {
        var errors: [ConfigError] = []
        for (index, group) in configuration.targetGroups.enumerated() {
            let parts = group.healthChecks.parts
            for (number, part) in parts.enumerated() where part.check.kind == .icmp {
                let path = parts.count == 1 ? "health_check" : "health_checks.checks[\(number)]"
                for family in Self.families(of: part.check, group.targets) {
                    do throws(SystemError) { _ = try prober.ping(family) } catch {
                        errors.append(Self.refusal(family, error).under("target_groups[\(index)].\(path)"))
                    }
                }
            }
        }
        return errors
    }

    private static func refusal(_ family: IPAddress.Family, _ error: SystemError) -> ConfigError {
        let name = family == .v4 ? "ICMP" : "ICMPv6"
        guard error.code == Errno.accessDenied || error.code == Errno.notPermitted else {
            return ConfigError(
                code: .notAvailable, path: "protocol", problem: "\(name) cannot be used for checks: \(error.reason)",
                fix: "check with TCP, or make this machine speak \(family == .v4 ? "IPv4" : "IPv6")")
        }
        return ConfigError(
            code: .notAvailable, path: "protocol",
            problem: "Poise may not ping: its group is outside of net.ipv4.ping_group_range, and it lacks CAP_NET_RAW",
            fix:
                "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or setcap cap_net_raw+ep on the program, or in its unit "
                + "AmbientCapabilities=CAP_NET_RAW; or check with TCP")
    }

    /// Of the addresses that are pinged. A name may come to have both; what is known then is that IPv4 is likely.
    private static func families(of check: HealthCheck, _ targets: [Target]) -> [IPAddress.Family] {
        if let address = check.address { return [address.family] }
        var families: Set<IPAddress.Family> = []
        for target in targets {
            switch target.address {
            case .ip(let ip, _): families.insert(ip.family)
            case .name: families.insert(.v4)
            case .unix: break
            }
        }
        return families.sorted { $0.rawValue < $1.rawValue }
    }
}
