import PoiseModel

extension SettingsTable {
    static let anomalyMitigation = Setting<TargetGroup>(
        keys: ["anomaly_mitigation"], type: .choice(["off", "on"], later: []), unset: nil,
        attribute: "load_balancing.algorithm.anomaly_mitigation",
        summary: "Whether targets with errors unlike the others' get less ([rule](algorithms.md#anomaly-mitigation)).",
        get: { .text($0.mitigatesAnomalies ? "on" : "off") },
        set: { root, value in if case .text(let text)? = value { root.mitigatesAnomalies = text == "on" } })

    /// Rows of `passive_checks`: how targets are compared with each other.
    static let outliers: [Setting<PassiveChecks>] = [
        .factor(
            "success_rate_factor", at: \.outliers.successRateFactorPercent, from: 50, to: 1_000,
            "Ejects a target whose share of answers below 500 is so many standard deviations below the mean; 1.9 is Envoy's."
        ),
        .factor(
            "latency_factor", at: \.outliers.latencyFactorPercent, from: 110, to: 100_000,
            "Ejects a target whose mean answer time is above so many times the group's median."),
        .duration(
            "min_latency", at: \.outliers.latencyMin, in: .zero ... .seconds(3600),
            "latency_factor: a mean answer time below this is never too long."),
        .integer(
            "min_outlier_targets", at: \.outliers.targetsMin, in: 2...10_000,
            "Both factors: fewer targets with enough exchanges cannot be compared."),
        .integer(
            "min_outlier_requests", at: \.outliers.requestsMin, in: 1...1_000_000,
            "Both factors: exchanges within the window that are enough."),
    ]
}

extension Setting where Root == PassiveChecks {
    /// A number with up to two decimals, kept in hundredths.
    fileprivate static func factor(
        _ key: String, at path: Path<Int?>, from low: Int, to high: Int,
        _ summary: String
    ) -> Setting {
        Setting(
            keys: [key], type: .text(form: "a number from \(Hundredths.format(low)) to \(Hundredths.format(high))"),
            unset: "off", attribute: nil, summary: summary,
            get: { $0[keyPath: path].map { .text(Hundredths.format($0)) } },
            set: { (root: inout PassiveChecks, value: SettingValue?) throws(ConfigError) in
                guard case .text(let text)? = value else {
                    root[keyPath: path] = nil
                    return
                }
                guard let number = Hundredths.parse(text) else {
                    throw ConfigError(
                        code: .wrongType, problem: "'\(text)' is not a number",
                        fix: "write a number such as 1.9, with two decimals at most, or off")
                }
                guard (low...high).contains(number) else {
                    throw ConfigError(
                        code: .outOfRange,
                        problem: "\(text) is outside \(Hundredths.format(low))...\(Hundredths.format(high))",
                        fix: "use \(Hundredths.format(low)) to \(Hundredths.format(high)), or off")
                }
                root[keyPath: path] = number
            })
    }
}

/// Numbers with up to two decimals: `1.9` is 190.
enum Hundredths {
    /// - Returns: `nil` for anything but digits and one dot between them; up to six digits in front of it.
    static func parse(_ text: String) -> Int? {
        let parts = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = number(parts[0], digitsMax: 6) else { return nil }
        guard parts.count == 2 else { return whole * 100 }
        guard let decimals = number(parts[1], digitsMax: 2) else { return nil }
        return whole * 100 + (parts[1].count == 1 ? decimals * 10 : decimals)
    }

    static func format(_ number: Int) -> String {
        let decimals = number % 100
        guard decimals > 0 else { return "\(number / 100)" }
        return
            "\(number / 100).\(decimals % 10 == 0 ? "\(decimals / 10)" : decimals < 10 ? "0\(decimals)" : "\(decimals)")"
    }

    private static func number(_ digits: Substring.UTF8View, digitsMax: Int) -> Int? {
        guard (1...digitsMax).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
