import PoiseLive
import PoiseModel
import PoiseProxy

/// The status as tables for a terminal.
public struct StatusTable: Sendable {
    /// Counts at one moment, for the rates of the next frame.
    public struct Frame: Sendable {
        let time: MonotonicTime
        /// By the id of the counters.
        let requests: [Int: UInt64]
    }

    private let overview: Overview
    private let isColored: Bool
    private let previous: Frame?
    private let now: Frame

    /// - Parameter previous: the frame before; without one there are no rates.
    public init(_ overview: Overview, at time: MonotonicTime, after previous: Frame? = nil, isColored: Bool = false) {
        (self.overview, self.previous, self.isColored) = (overview, previous, isColored)
        var requests: [Int: UInt64] = [:]
        for facts in overview.listeners {
            requests[facts.compiled.counters.id] = facts.compiled.counters.sum(ListenerCounter.requests)
        }
        for facts in overview.groups {
            requests[facts.compiled.counters.id] = facts.compiled.counters.sum(GroupCounter.requests)
            for counters in facts.targets.compactMap(\.counters) {
                requests[counters.id] = counters.sum(TargetCounter.requests)
            }
        }
        now = Frame(time: time, requests: requests)
    }

    public var frame: Frame { now }

    public func render() -> String {
        head() + warnings() + "\n" + listeners() + "\n" + groups() + Self.tiers(overview.groups, isColored: isColored)
    }

    // MARK: Parts

    private func head() -> String {
        let process = overview.process
        let file = process.file.map(Self.harmless) ?? "from the command line"
        return "poise \(process.version)  pid \(process.processID)  up \(Self.span(process.uptime))  "
            + "workers \(process.workers)  connections \(process.connections)/\(process.connectionsMax)  "
            + "configuration \(process.generation) (\(file))\n"
    }

    private func warnings() -> String {
        var text = ""
        for group in overview.groups where group.isFailOpen {
            text += paint(
                "FAIL OPEN: no target of \(Self.harmless(group.compiled.settings.displayName)) is known to be good; "
                    + "all of them take traffic\n", .red)
        }
        for group in overview.groups {
            guard let other = group.answeredBy else { continue }
            text += paint(
                "BACKUP GROUP: no target of \(Self.harmless(group.compiled.settings.displayName)) is usable; "
                    + "\(Self.harmless(other)) answers\n", .yellow)
        }
        if let log = overview.process.log, log.lostToFullRings + log.lostToFailedWrites > 0 {
            text += paint(
                "access log: \(log.lostToFullRings + log.lostToFailedWrites) records were lost "
                    + "(\(log.lostToFullRings) for want of room, \(log.lostToFailedWrites) could not be written)\n",
                .yellow)
        }
        return text
    }

    private func listeners() -> String {
        var table = TextTable([
            "LISTENER", "ADDRESS", "#CONNS", "#IN FLIGHT", "#REQUESTS", "#REQ/S", "#2XX", "#3XX", "#4XX", "#5XX",
            "#P50", "#P99",
        ])
        for facts in overview.listeners {
            let counters = facts.compiled.counters
            var cells: [TextTable.Cell] = [
                .init(Self.harmless(facts.compiled.settings.displayName)),
                .init(facts.addresses.map(Self.harmless).joined(separator: " ")),
                Self.gauge(counters, ListenerCounter.connections), Self.gauge(counters, ListenerCounter.inFlight),
                Self.count(counters, ListenerCounter.requests), rate(counters),
            ]
            cells += classes(counters, ListenerCounter.status2xx)
            cells += quantiles(facts.compiled.totalTime)
            table.add(cells)
        }
        return table.render(isColored: isColored)
    }

    private func groups() -> String {
        var table = TextTable([
            "GROUP / TARGET", "STATE", "REASON / ALGORITHM", "SINCE", "#WEIGHT", "IN USE", "ZONE", "#TIER",
            "#IN FLIGHT",
            "#REQUESTS",
            "#REQ/S", "#2XX", "#3XX", "#4XX", "#5XX", "#ERRORS", "#P50", "#P99", "CHECK",
        ])
        for facts in overview.groups {
            let counters = facts.compiled.counters
            let good = facts.targets.count { $0.state == .healthy }
            var cells: [TextTable.Cell] = [
                .init(Self.harmless(facts.compiled.settings.displayName), .bold),
                .init(
                    facts.isFailOpen ? "fail open" : "\(good)/\(facts.targets.count) healthy",
                    facts.isFailOpen ? .red : good == facts.targets.count ? .green : .yellow),
                .init(Self.harmless(facts.compiled.settings.algorithmSummary)), .init(""), .init(""), .init(""),
                .init(""), .init(""), Self.gauge(counters, GroupCounter.inFlight),
                Self.count(counters, GroupCounter.requests), rate(counters),
            ]
            cells += classes(counters, GroupCounter.status2xx)
            cells.append(.init(""))
            cells += quantiles(facts.compiled.totalTime)
            cells.append(.init(facts.compiled.settings.healthSummary.map { Self.harmless($0) } ?? "-"))
            table.add(cells)
            for target in facts.targets { table.add(row(target)) }
        }
        return table.render(isColored: isColored)
    }

    private func row(_ facts: Overview.TargetFacts) -> [TextTable.Cell] {
        let name = "  \(Self.harmless(facts.label))" + (facts.isBackup ? " (backup)" : "")
        let state: [TextTable.Cell] = [
            .init(name), .init(facts.state.name, Self.color(of: facts.state)),
            .init(facts.reason == .none ? "-" : facts.reason.name), .init(Self.span(facts.age)),
            .init(Self.weight(facts) + facts.share.suffix), .init(facts.isInUse ? "yes" : "no"),
            .init(facts.zone.map(Self.harmless) ?? "-"),
            .init(facts.isBackup ? "-" : "\(facts.tier)"),
        ]
        guard let counters = facts.counters else { return state + Array(repeating: .init(""), count: 11) }
        let errors = counters.sum(TargetCounter.failures) + counters.sum(TargetCounter.connectFailures)
        return state + [
            Self.gauge(counters, TargetCounter.inFlight), Self.count(counters, TargetCounter.requests), rate(counters),
        ] + classes(counters, TargetCounter.status2xx) + [
            .init("\(errors)", errors > 0 ? .red : nil), .init(""), .init(""),
            .init([facts.lastProbe, facts.agent?.text].compactMap(\.self).joined(separator: "; ")),
        ]
    }

    // MARK: Cells

    /// As ``EffectiveWeightText`` has it; `3 (operator)` where the file says something else.
    private static func weight(_ facts: Overview.TargetFacts) -> String {
        let text = EffectiveWeightText.format(facts.effectiveWeight, of: facts.weight)
        return facts.isWeightOverridden ? text + " (operator)" : text
    }

    private func classes(_ counters: CounterBlock, _ first: Int) -> [TextTable.Cell] {
        (0..<4).map { offset in
            let count = counters.sum(first + offset)
            return .init("\(count)", offset == 3 && count > 0 ? .red : nil)
        }
    }

    private func quantiles(_ histogram: Histogram) -> [TextTable.Cell] {
        [0.5, 0.99].map { share in
            .init(histogram.quantile(share).map { Self.latency(Nanoseconds(Int64(clamping: $0))) } ?? "-")
        }
    }

    private func rate(_ counters: CounterBlock) -> TextTable.Cell {
        guard let previous, let before = previous.requests[counters.id], let count = now.requests[counters.id] else {
            return .init("-")
        }
        let seconds = (now.time - previous.time).seconds
        guard seconds > 0, count >= before else { return .init("-") }
        return .init("\(Int((Double(count - before) / seconds).rounded()))")
    }

    private static func count(_ counters: CounterBlock, _ index: Int) -> TextTable.Cell {
        .init("\(counters.sum(index))")
    }

    private static func gauge(_ counters: CounterBlock, _ index: Int) -> TextTable.Cell {
        .init("\(max(0, counters.gauge(index)))")
    }

    private func paint(_ text: String, _ color: TextTable.Color) -> String {
        TextTable.paint(text, color, isColored)
    }

    static func color(of state: TargetState) -> TextTable.Color? {
        switch state {
        case .healthy: .green
        case .initial, .draining: .yellow
        case .unhealthy: .red
        case .unused: nil
        }
    }

    /// Names come from files: nothing in them may move the cursor.
    static func harmless(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) else {
            return text
        }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }

    /// `3d4h`, `12m5s`, `800ms`: the two largest units.
    static func span(_ span: Nanoseconds) -> String {
        let seconds = max(0, span.count) / 1_000_000_000
        switch seconds {
        case 0: return "\(max(0, span.count) / 1_000_000)ms"
        case 1..<60: return "\(seconds)s"
        case 60..<3600: return "\(seconds / 60)m\(seconds % 60)s"
        case 3600..<86_400: return "\(seconds / 3600)h\(seconds / 60 % 60)m"
        default: return "\(seconds / 86_400)d\(seconds / 3600 % 24)h"
        }
    }

    /// `≤` is left out: the upper bound of a quarter octave.
    static func latency(_ span: Nanoseconds) -> String {
        switch span.count {
        case ..<1_000_000: "\(span.microseconds)us"
        case ..<10_000_000: "\(tenths(span.count, of: 1_000_000))ms"
        case ..<1_000_000_000: "\(span.milliseconds)ms"
        default: "\(tenths(span.count, of: 1_000_000_000))s"
        }
    }

    private static func tenths(_ count: Int64, of unit: Int64) -> String {
        "\(count / unit).\(count / (unit / 10) % 10)"
    }
}
