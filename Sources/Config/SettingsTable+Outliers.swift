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
        ).onlyWithEjections(),
        .factor(
            "latency_factor", at: \.outliers.latencyFactorPercent, from: 110, to: 100_000,
            "Ejects a target whose mean answer time is above so many times the group's median."
        ).onlyWithEjections(),
        .duration(
            "min_latency", at: \.outliers.latencyMin, in: .zero ... .seconds(3600),
            "latency_factor: a mean answer time below this is never too long."
        ).only(
            by: "latency_factor", else: "no answer time is too long for its target",
            fix: "add 'latency_factor: 3', or remove it"
        ) { $0.outliers.latencyFactorPercent != nil },
        .integer(
            "min_outlier_targets", at: \.outliers.targetsMin, in: 2...10_000,
            "Both factors: fewer targets with enough exchanges cannot be compared."
        ).onlyWithFactors(),
        .integer(
            "min_outlier_requests", at: \.outliers.requestsMin, in: 1...1_000_000,
            "Both factors: exchanges within the window that are enough."
        ).onlyWithFactors(),
    ]
}

/// What the other passive checks must say, so that a setting does something.
extension Setting<PassiveChecks> {
    /// - Parameter isOff: whether it ejects nobody by what it says itself, which may be said beside anything.
    func onlyWithEjections(or isOff: @escaping @Sendable (PassiveChecks) -> Bool = { _ in false }) -> Setting {
        only(
            by: "max_ejected_percent", else: "'max_ejected_percent: 0' ejects nobody",
            fix: "remove it, or raise max_ejected_percent"
        ) { $0.ejectedPercentMax > 0 || isOff($0) }
    }

    func onlyWithReasons(or isOff: @escaping @Sendable (PassiveChecks) -> Bool = { _ in false }) -> Setting {
        only(
            by: "consecutive_failures", "failure_percent", "success_rate_factor", "latency_factor",
            "max_ejected_percent",
            else: "nobody is ever ejected", fix: "remove it, or say what ejects a target, such as consecutive_failures"
        ) {
            let hasReasons = $0.consecutiveFailures > 0 || $0.failurePercent != nil || $0.outliers.isOn
            return $0.ejectedPercentMax > 0 && hasReasons || isOff($0)
        }
    }

    fileprivate func onlyWithFactors() -> Setting {
        only(
            by: "success_rate_factor", "latency_factor", else: "targets are not compared with each other",
            fix: "add 'success_rate_factor: 1.9' or 'latency_factor: 3', or remove it"
        ) { $0.outliers.isOn }
    }
}

extension Setting where Root == PassiveChecks {
    /// A number with up to two decimals, kept in hundredths.
    fileprivate static func factor(
        _ key: String, at path: Path<Int?>, from low: Int, to high: Int,
        _ summary: String
    ) -> Setting {
        parsed(
            key, at: path, form: "a number from \(Hundredths.format(low)) to \(Hundredths.format(high))", unset: "off",
            summary, format: Hundredths.format,
            parse: { (text) throws(ConfigError) in
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
                return number
            })
    }
}
