import PoiseModel

extension SettingsTable {
    static let targetGroup = SettingsPlace<TargetGroup>(
        "target_groups[]",
        shorthands: [
            "algorithm": "type", "slow_start": "duration", "zone_preference": "mode", "proxy_protocol": "version",
        ],
        [
            .init(
                keys: ["protocol"], type: .choice(["HTTP", "HTTPS"], later: LaterFeatures.targetProtocols), unset: nil,
                attribute: "Protocol", summary: "What targets speak; HTTPS verifies them, see `tls`.",
                get: { .text($0.tls == nil ? "HTTP" : "HTTPS") },
                set: { root, value in
                    guard case .text(let text)? = value else { return }
                    root.tls = text == "HTTPS" ? root.tls ?? TargetTLS() : nil
                }),
            .choice(
                "version", at: \.version, attribute: "ProtocolVersion",
                "The version of HTTP that targets speak; http2 is by ALPN with HTTPS, by prior knowledge with HTTP."),
            .integer(
                "http2", "max_connections", at: \.http2.connectionsMax, in: 1...1000,
                "http2: connections per target and worker, which clients share."),
            .integer(
                "http2", "max_streams", at: \.http2.streamsMax, in: 1...10_000,
                "http2: requests that are open at once on a connection, where the target allows as many."),
            .size(
                "http2", "window", at: \.http2.windowBytesMax, in: 65_535...1 << 24,
                "http2: bytes of answers that a connection may hold unread, beyond 64 KiB for each."),
            .duration(
                "http2", "ping_interval", at: \.http2.pingInterval, in: .zero ... .seconds(3600),
                "http2: a silent target with open streams is asked for a sign of life after this; 0s turns it off."),
            .choice(
                "algorithm", "type", at: \.algorithm, later: LaterFeatures.algorithms,
                elsewhere: LaterFeatures.algorithmsElsewhere,
                attribute: "load_balancing.algorithm.type",
                "How a target is chosen ([which one](algorithms.md)); with options a mapping: "
                    + "`{ type: p2c, choices: 3 }`."),
            .integer(
                "algorithm", "choices", at: \.algorithmOptions.choices, in: 2...16,
                "p2c: how many targets are drawn at random, of which the least loaded is taken."
            ).only { $0.algorithm == .p2c },
            .init(
                keys: ["algorithm", "key"],
                type: .list(form: "parts of a request such as header:X-User or source_ip/24"), unset: nil,
                attribute: nil,
                summary:
                    "hash: what the choice goes by, one part or a list: header:NAME, cookie:NAME, query:NAME, path, "
                    + "host, uri, source_ip, source_ip/24, source_ip/24/56.",
                get: { .texts($0.algorithmOptions.key.map(\.description)) },
                set: { (root: inout TargetGroup, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    root.algorithmOptions.key = try ListText.distinct(texts, HashKeyPart.init(parsing:))
                }
            ).only { $0.algorithm == .hash },
            .choice(
                "algorithm", "table", at: \.algorithmOptions.table,
                "hash, source_hash: how a key finds its target ([which one](algorithms.md#by-key))."
            ).only { $0.algorithm.isKeyed },
            .integer(
                "algorithm", "bounded_load", at: \.algorithmOptions.boundedLoadPercent, in: 101...10_000, unset: "off",
                "hash, source_hash: the most flows that a target may have, in percent of its share of the group's."
            ).only { $0.algorithm.isKeyed },
            .integer(
                "overprovisioning", at: \.overprovisioningPercent, in: 100...10_000,
                "Tiers: percent of its healthy weight that a tier can take. 140: all traffic until 28 % of it are gone."
            ).only(
                by: "targets", else: "all targets are of one tier, so nothing spills over to another",
                fix: "remove it, or give targets for later a tier: { address: …, tier: 1 }"
            ) { $0.targets.isEmpty || $0.hasTiers },
        ] + placesOfTargetGroup + [
            anomalyMitigation,
            .choice(
                "fail_open", at: \.failOpen,
                attribute: "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
                "Whether all targets are tried when none is usable and nothing else can answer."
            ).only(
                by: "sorry_response",
                else: "the sorry response answers when no target is usable, so none is tried then",
                fix: "remove it, or write 'sorry_response: off'"
            ) { $0.sorryResponse == nil || $0.failOpen == .never },
            minHealthy,
            .parsed(
                "host_header", at: \.hostHeader, form: "keep, target or a host name",
                attribute: "routing.http.preserve_host_header.enabled",
                "Host as the client sent it (keep), the target's own name, or this one.",
                format: {
                    switch $0 {
                    case .keep: "keep"
                    case .target: "target"
                    case .fixed(let name): name
                    }
                },
                parse: { (text) throws(ConfigError) in
                    switch text {
                    case "keep": return .keep
                    case "target": return .target
                    default:
                        try TextForm.hostAndPort(text)
                        return .fixed(text)
                    }
                }),
            proxyProtocolVersion, proxyProtocolFields,
            .duration(
                "slow_start", "duration", at: \.slowStart, in: .zero ... .seconds(86_400),
                attribute: "slow_start.duration_seconds",
                "A target that becomes healthy takes its full share after this time; 0s turns it off."
            ).only(
                by: "algorithm", else: "first fills targets in order, whatever their shares are, so none begins slowly",
                fix: "remove it, or use another algorithm, such as least_connections"
            ) { $0.algorithm != .first || $0.slowStart == .zero },
            .parsed(
                "slow_start", "curve", at: \.slowStartAggressionPercent, form: "linear, or an exponent from 0.1 to 10",
                "How the share grows: linear, or Envoy's aggression a for t^(1/a): 2 gives half of it after a "
                    + "quarter of the time, 0.5 a quarter after half of it.",
                format: CurveText.format, parse: CurveText.parse
            ).only { $0.slowStart.count > 0 },
            .text(
                "track_health", at: \.trackedGroup, form: "the name of a target group", unset: "off",
                "The group whose targets at the same addresses, else at the same hosts, tell how these are; instead of checks.",
                check: TextForm.groupName),
            .duration(
                "deregistration_delay", at: \.deregistrationDelay, in: .zero ... .seconds(86_400),
                attribute: "deregistration_delay.timeout_seconds",
                "How long a removed or drained target may finish what it has."),
            .duration(
                "resolve_interval", at: \.resolveInterval, in: .seconds(1) ... .seconds(86_400),
                "How often a target's name is resolved again."),
            .duration(
                "timeouts", "connect", at: \.timeouts.connect, in: .milliseconds(1) ... .seconds(300),
                "To open a connection to a target."),
            .duration(
                "timeouts", "response_idle", at: \.timeouts.responseIdle, in: .milliseconds(10) ... .seconds(86_400),
                attribute: "idle_timeout.timeout_seconds",
                "Without a byte of the response, or of the body in either direction."),
            .duration(
                "timeouts", "keep_alive_idle", at: \.timeouts.keepAliveIdle, in: .zero ... .seconds(86_400),
                "An unused connection to a target is closed after this, or earlier where the target says so."),
            .integer(
                "limits", "max_connections", at: \.limits.connectionsMax, in: 1...10_000_000, unset: "unlimited",
                "Exchanges in flight, and open connections, per target over all workers."),
            .integer(
                "limits", "max_idle_connections", at: \.limits.idleConnectionsMax, in: 0...1_000_000,
                "Unused connections kept per target and worker, until timeouts.keep_alive_idle; 0 keeps none."),
            .integer(
                "limits", "max_queue", at: \.limits.queueMax, in: 0...1_000_000,
                "Exchanges of the group that wait for a slot, or for a place in a shared connection; beyond it 503."
            ).onlyWithLimits(),
            .duration(
                "limits", "queue_timeout", at: \.limits.queueTimeout, in: .zero ... .seconds(3600),
                "How long an exchange waits, over all its tries; then 503."
            ).onlyWithLimits(),
            .integer(
                "retries", "max_tries", at: \.retries.triesMax, in: 1...20,
                "Tries in all, the first included; 1 turns retries off."),
            .init(
                keys: ["retries", "retry_on"], type: .list(form: "a list of timeout and statuses from 500 to 599"),
                unset: nil,
                attribute: nil,
                summary: "Further reasons to try elsewhere, for idempotent requests only: timeout, 500...599.",
                get: { .texts(($0.retries.onTimeout ? ["timeout"] : []) + $0.retries.onStatuses.map(String.init)) },
                set: { (root: inout TargetGroup, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    let statuses = try ListText.distinct(texts) { (text) throws(ConfigError) -> Int? in
                        if text == "timeout" { return nil }
                        guard let status = Int(text), (500...599).contains(status), text.utf8.count == 3 else {
                            throw ConfigError(
                                code: .invalid, problem: "'\(text)' is not a reason to retry",
                                fix: "use timeout, or a status from 500 to 599")
                        }
                        return status
                    }
                    root.retries.onTimeout = statuses.contains(nil)
                    root.retries.onStatuses = statuses.compactMap(\.self)
                }
            ).onlyWithRetries(),
            .integer(
                "retries", "budget_percent", at: \.retries.budgetPercent, in: 0...100,
                "Retries other than refused connections, as a share of the group's requests in the last 10 s."
            ).onlyWithRetries(),
            .integer(
                "retries", "min_budget_per_second", at: \.retries.budgetMinPerSecond, in: 0...1_000_000,
                "The budget never falls below this many per second."
            ).onlyWithRetries(),
        ])

    static let healthCheck = SettingsPlace<HealthDraft>(
        "target_groups[].health_check",
        [
            .init(
                keys: ["protocol"],
                type: .choice(
                    HealthDraft.Kind.allCases.map(\.rawValue), later: LaterFeatures.healthCheckProtocols,
                    elsewhere: LaterFeatures.healthCheckProtocolsElsewhere),
                unset: nil,
                attribute: "HealthCheckProtocol",
                summary:
                    "TCP connects, TLS shakes hands, HTTP and HTTPS send a request, in the group's version, the others are "
                    + "told of [elsewhere](health.md). Unset: the "
                    + "group's protocol where a key of theirs is set, else TLS in groups of protocol HTTPS, and TCP.",
                get: { .text($0.chosen?.rawValue ?? ($0.hasProbeKeys ? "HTTP" : "TCP")) },
                set: { root, value in if case .text(let text)? = value { root.chosen = .init(rawValue: text) } }
            ),
            .duration(
                "interval", at: \.check.interval, in: .milliseconds(100) ... .seconds(3600),
                attribute: "HealthCheckIntervalSeconds", "From the start of one probe to the start of the next."),
            .init(
                keys: ["timeout"], type: .duration(.milliseconds(10) ... .seconds(3600)), unset: nil,
                attribute: "HealthCheckTimeoutSeconds",
                summary:
                    "Until a probe has failed; not longer than the interval, which it also is where that is shorter.",
                get: { .duration($0.check.timeout) },
                set: { root, value in
                    if case .duration(let timeout)? = value {
                        (root.check.timeout, root.isTimeoutSet) = (timeout, true)
                    }
                }),
            .integer(
                "healthy", at: \.check.healthyThreshold, in: 1...1000, attribute: "HealthyThresholdCount",
                "Successes in a row that make a target healthy."),
            .integer(
                "unhealthy", at: \.check.unhealthyThreshold, in: 1...1000, attribute: "UnhealthyThresholdCount",
                "Failures in a row that make a target unhealthy."),
            .init(
                keys: ["edge_interval"], type: .duration(.milliseconds(10) ... .seconds(3600)), unset: nil,
                attribute: nil,
                summary:
                    "The interval after a result that differs from the target's state; not longer than the interval, "
                    + "which it also is where that is shorter.",
                get: { .duration($0.check.edgeInterval) },
                set: { root, value in
                    if case .duration(let edge)? = value { (root.check.edgeInterval, root.isEdgeSet) = (edge, true) }
                }),
            .init(
                keys: ["idle_interval"], type: .duration(.milliseconds(100) ... .seconds(86_400)), unset: "interval",
                attribute: nil,
                summary: "The interval of healthy targets while no request comes to their group; interval is no other.",
                get: { $0.check.idleInterval.map { .duration($0) } },
                set: { root, value in
                    if case .duration(let interval)? = value {
                        root.check.idleInterval = interval
                    } else {
                        root.check.idleInterval = nil
                    }
                }),
            .address(
                "address", at: \.check.address, form: "an IP address without a port", unset: "target",
                advice: "write one such as 10.0.0.9; its port goes into 'port'",
                "The address to probe; target is the target's own."),
            .init(
                keys: ["port"], type: .integer(1...65_535), unset: "target", attribute: "HealthCheckPort",
                summary: "The port to probe; target is the target's own.",
                get: { $0.check.port.map { .integer(Int($0)) } },
                set: { root, value in
                    if case .integer(let port)? = value {
                        root.check.port = UInt16(port)
                    } else {
                        root.check.port = nil
                    }
                }),
        ])

    /// What `health_checks` says besides its list.
    static let healthChecks = SettingsPlace<HealthChecks>(
        "target_groups[].health_checks",
        [
            .parsed(
                "need", at: \.need, form: "all, any, or what passing checks must weigh",
                "all: every check must pass; any: one is enough; a number: what the weights of the passing ones "
                    + "must add up to.",
                format: {
                    switch $0 {
                    case .all: "all"
                    case .any: "any"
                    case .weight(let weight): "\(weight)"
                    }
                },
                parse: { (text) throws(ConfigError) in
                    switch text {
                    case "all": return .all
                    case "any": return .any
                    default:
                        guard let weight = Int(text), (1...1_000_000).contains(weight) else {
                            throw ConfigError(
                                code: .invalid, problem: "'\(text)' is not what checks can need",
                                fix: "write all, any, or what passing checks must weigh: 1 to 1000000")
                        }
                        return .weight(weight)
                    }
                })
        ])

    /// What only an item of `health_checks.checks` has.
    static let healthChecksPart = SettingsPlace<HealthChecks.Part>(
        "target_groups[].health_checks.checks[]",
        [.integer("weight", at: \.weight, in: 1...1000, "What it counts for `need`.")])

    static let passiveChecks = SettingsPlace<PassiveChecks>(
        "target_groups[].passive_checks",
        [
            .integer(
                "consecutive_failures", at: \.consecutiveFailures, in: 0...1_000_000,
                "Failures in a row (no connection, cut, timeout, 502-504) that eject a target; 0 turns it off."
            ).onlyWithEjections { $0.consecutiveFailures == 0 },
            .integer(
                "failure_percent", at: \.failurePercent, in: 1...100, unset: "off",
                "Share of failed exchanges (as above) within the window that ejects a target."
            ).onlyWithEjections(),
            .integer(
                "min_requests", at: \.failurePercentMinRequests, in: 1...1_000_000,
                "failure_percent: fewer exchanges than this within the window prove nothing."
            ).only(
                by: "failure_percent", else: "no share of failed exchanges ejects a target",
                fix: "add 'failure_percent: 50', or remove it"
            ) { $0.failurePercent != nil },
            .duration(
                "window", at: \.window, in: .seconds(1) ... .seconds(3600),
                "The time that failure_percent looks back; at its end outliers are looked for."
            ).only(
                by: "failure_percent", "success_rate_factor", "latency_factor",
                else: "nothing is counted over a window: failures in a row have none",
                fix: "add 'failure_percent', 'success_rate_factor' or 'latency_factor', or remove it"
            ) { $0.failurePercent != nil || $0.outliers.isOn },
            .duration(
                "ejection_time", at: \.ejectionTime, in: .milliseconds(100) ... .seconds(86_400),
                "The first ejection; the n-th in a row lasts n times as long. Probes that pass again end one for failures in a row."
            ).onlyWithReasons(),
            .duration(
                "max_ejection_time", at: \.ejectionTimeMax, in: .milliseconds(100) ... .seconds(86_400),
                "The longest ejection."
            ).onlyWithReasons(),
            .integer(
                "max_ejected_percent", at: \.ejectedPercentMax, in: 0...100,
                "At most this share of a group is ejected at once; one of two targets always may be; 0 ejects nobody."
            ).onlyWithReasons { $0.ejectedPercentMax == 0 },
        ] + outliers)

    static let target = SettingsPlace<Target>(
        "target_groups[].targets[]",
        [
            .integer(
                "weight", at: \.weight, in: 0...256, attribute: nil, "Share of the traffic; 0 takes no new requests."),
            .boolean("backup", at: \.isBackup, "Takes traffic only when no ordinary target is usable."),
            .integer(
                "tier", at: \.tier, in: 0...15,
                "Lower tiers take the traffic; what they are not healthy enough for spills over to the next."
            ).only(
                by: "backup", else: "a backup comes after all tiers, and is of none", fix: "remove it, or 'backup'"
            ) { !$0.isBackup || $0.tier == 0 },
            .text(
                "zone", at: \.zone, form: "a zone such as eu-1a", attribute: "AvailabilityZone",
                "Where it stands, for zone_preference.", check: TextForm.placeName),
        ])
}

extension Setting<TargetGroup> {
    /// An agent may set a limit at any time.
    fileprivate func onlyWithLimits() -> Setting {
        only(
            by: "limits.max_connections", "version", "track_health", "health_check", "health_checks",
            else: "nobody waits for a slot where targets have no limit",
            fix: "add 'max_connections: 100' to the limits, or remove it"
        ) { $0.limits.connectionsMax != nil || $0.version == .http2 || $0.hasAgents || $0.trackedGroup != nil }
    }

    fileprivate func onlyWithRetries() -> Setting {
        only(
            by: "retries.max_tries", else: "'max_tries: 1' turns retries off", fix: "remove it, or raise max_tries"
        ) { $0.retries.triesMax > 1 }
    }
}
