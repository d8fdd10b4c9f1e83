import PoiseHTTP
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseTLS

@testable import PoiseTelemetry

/// A snapshot of one listener `web` with a rule per group, and what counts for it.
struct House {
    let snapshot: ProxySnapshot

    init(
        groups names: [String] = ["api"], targets: [String] = ["10.0.0.1:80"], rules: [String]? = nil,
        check: HealthCheck.Kind? = .tcp
    ) {
        let groups = names.enumerated().map { slot, name in
            var settings = TargetGroup(id: name, name: name, targets: [])
            if let check { settings.healthCheck?.kind = check } else { settings.healthCheck = nil }
            return CompiledGroup(
                slot: slot, settings: settings,
                targets: targets.map(Self.target), counters: CounterBlock(workers: 2, width: GroupCounter.width),
                totalTime: Histogram(workers: 2), targetTime: Histogram(workers: 2), queue: nil)
        }
        let rules = (rules ?? names).map { name in
            Rule(
                id: name, name: name, conditions: [],
                action: .fixedResponse(FixedResponse(status: 200)))
        }
        let listener = CompiledListener(
            slot: 0,
            settings: Listener(
                id: "web", name: "web", addresses: [.anyAddress(port: 80)], rules: rules, defaultAction: nil),
            actions: rules.map { _ in .fixedResponse(FixedResponse(status: 200)) }, defaultAction: nil,
            counters: CounterBlock(workers: 2, width: ListenerCounter.width),
            ruleCounters: (0...rules.count).map { _ in CounterBlock(workers: 2, width: RuleCounter.width) },
            totalTime: Histogram(workers: 2), targetTime: Histogram(workers: 2))
        snapshot = ProxySnapshot(generation: 1, listeners: [listener], groups: groups)
    }

    static func target(_ label: String) -> CompiledTarget {
        CompiledTarget(
            address: .ip(IPAddress(v4: 0x0A00_0001), port: 80),
            settings: Target(address: .ip(IPAddress(v4: 0x0A00_0001), port: 80)), label: label, hostHeader: label,
            identity: 1, counters: CounterBlock(workers: 2, width: TargetCounter.width), limit: nil)
    }

    var listener: CompiledListener { snapshot.listeners[0] }

    func overview(state: TargetState = .healthy, reason: TargetReason = .none, isFailOpen: Bool = false) -> Overview {
        let process = Overview.Process(
            version: "1.2.3", processID: 42, startedAt: 1_000_000_000, uptime: .seconds(90), workers: 2,
            connections: 3, connectionsMax: 100, generation: 7, appliedAt: 2_500_000_000)
        return Overview(
            process: process, listeners: [.init(listener, addresses: ["0.0.0.0:80"])],
            groups: snapshot.groups.map { group in
                .init(
                    group, isFailOpen: isFailOpen, transitions: 5,
                    targets: group.targets.map {
                        .init(
                            label: $0.label, counters: $0.counters, state: state, reason: reason, age: .seconds(61),
                            weight: 3, transitions: 2)
                    })
            })
    }
}

extension AccessRecord {
    static func sample(
        listener: Int = 0, rule: Int = 0, group: Int = 0, target: Int = 0, status: Int = 200,
        reason: EndReason = .answered, refusal: Refusal.Reason? = nil, targetMicroseconds: Int = 843,
        version: MessageVersion? = nil, tls: TLSSession.Version? = nil
    ) -> AccessRecord {
        AccessRecord(
            endedAt: 1_763_680_840_123_456_789, listener: listener, rule: rule, group: group, target: target,
            status: status, reason: reason, refusal: refusal, method: .get, tries: 1, bytesIn: 7, bytesOut: 1024,
            waitMicroseconds: 12, targetMicroseconds: targetMicroseconds, totalMicroseconds: 901,
            requestIDHigh: 0x0123_4567_89AB_CDEF, requestIDLow: 0xFF, version: version, tls: tls)
    }

    /// The record's line, by way of a ring.
    func line(
        _ format: LogSettings.Format, isColored: Bool = false, client: [UInt8] = Array("192.0.2.1".utf8),
        method: [UInt8] = Array("GET".utf8), host: [UInt8] = Array("shop.test".utf8),
        path: [UInt8] = Array("/a?b=c".utf8), requestID: [UInt8] = [], announced: [UInt8] = [],
        names: LogNames = LogNames()
    ) -> String {
        let ring = RecordRing(capacity: 1 << 16)
        push(
            to: ring, client: client.span, method: method.span, authority: host.span, target: path.span,
            requestID: requestID.span, announced: announced.span)
        var words = [UInt64](repeating: 0, count: AccessRecord.wordCount)
        // Longer than the record: what lies behind it must not show.
        var text = [UInt8](repeating: 0x58, count: 9000)
        guard let (record, texts) = AccessRecord.pop(from: ring, &words, &text) else { return "no record" }
        var formatter = AccessLogFormatter(format: format, isColored: isColored)
        var line: [UInt8] = []
        formatter.append(record, texts, of: text, names: names, to: &line)
        return String(validating: line, as: UTF8.self) ?? "not UTF-8"
    }
}
