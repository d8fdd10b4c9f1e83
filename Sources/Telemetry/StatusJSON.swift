import PoiseHTTP
import PoiseLive
import PoiseModel
import PoiseProxy
import PoiseTLS

/// The status as one JSON object, piece by piece: the head, then listener by listener and target by target.
public struct StatusJSON: Sendable {
    private enum Place {
        case head
        case listener(Int)
        case group(Int)
        case target(group: Int, target: Int)
        case tail, done
    }

    private let overview: Overview
    private var place = Place.head
    private var time = UTCText()

    public init(_ overview: Overview) { self.overview = overview }

    /// Appends about `size` bytes.
    ///
    /// - Returns: false once nothing was left to append.
    public mutating func next(into bytes: inout [UInt8], size: Int = 32 * 1024) -> Bool {
        if case .done = place { return false }
        let end = bytes.count + size
        while bytes.count < end {
            switch place {
            case .head:
                bytes.append(text: "{\"process\":")
                bytes.append(process().span)
                bytes.append(text: ",\"listeners\":[")
                place = .listener(0)
            case .listener(let index) where index < overview.listeners.count:
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.append(listener(overview.listeners[index]).span)
                place = .listener(index + 1)
            case .listener:
                bytes.append(text: "],\"target_groups\":[")
                place = .group(0)
            case .group(let index) where index < overview.groups.count:
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                // The object stays open for its targets.
                bytes.append(group(overview.groups[index]).span.extracting(droppingLast: 1))
                bytes.append(text: ",\"targets\":[")
                place = .target(group: index, target: 0)
            case .group: place = .tail
            case .target(let group, let index) where index < overview.groups[group].targets.count:
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.append(target(overview.groups[group].targets[index]).span)
                place = .target(group: group, target: index + 1)
            case .target(let group, _):
                bytes.append(text: "]}")
                place = .group(group + 1)
            case .tail:
                bytes.append(text: "]}\n")
                place = .done
                return true
            case .done: return true
            }
        }
        return true
    }

    // MARK: Objects

    private mutating func process() -> [UInt8] {
        let process = overview.process
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("version", process.version)
        json.member("pid", process.processID)
        json.member("started_at", timestamp(process.startedAt))
        json.member("uptime_seconds", process.uptime)
        json.member("workers", process.workers)
        json.member("connections", process.connections)
        json.member("max_connections", process.connectionsMax)
        json.key("config")
        json.beginObject()
        json.key("file")
        if let file = process.file { json.string(file) } else { json.null() }
        json.member("generation", process.generation)
        json.member("applied_at", timestamp(process.appliedAt))
        json.member("failed_applies", process.failedApplies)
        json.endObject()
        json.key("access_log")
        if let log = process.log {
            json.beginObject()
            json.member("written", Int(log.written))
            json.member("lost_ring_full", Int(log.lostToFullRings))
            json.member("lost_write_failed", Int(log.lostToFailedWrites))
            json.endObject()
        } else {
            json.null()
        }
        json.endObject()
        return json.sink
    }

    private mutating func timestamp(_ nanoseconds: Int64) -> String {
        var text: [UInt8] = []
        time.append(nanoseconds, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func listener(_ facts: Overview.ListenerFacts) -> [UInt8] {
        let compiled = facts.compiled
        let counters = compiled.counters
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("name", compiled.settings.displayName)
        json.member("protocol", compiled.settings.protocolKind.rawValue)
        json.key("addresses")
        json.beginArray()
        for address in facts.addresses { json.string(address) }
        json.endArray()
        json.member("connections", counters.gauge(ListenerCounter.connections), atLeast: 0)
        json.member("accepted", counters, ListenerCounter.accepted)
        json.members("refused_connections", counters, ListenerCounter.firstConnectionRefusal, ConnectionRefusal.self) {
            $0.name
        }
        json.member("held_sockets", counters.gauge(ListenerCounter.heldSockets), atLeast: 0)
        json.members("accept_holds", counters, ListenerCounter.firstHold, AcceptHold.self) { $0.name }
        json.member("in_flight", counters.gauge(ListenerCounter.inFlight), atLeast: 0)
        json.member("requests", counters, ListenerCounter.requests)
        json.responses(counters, ListenerCounter.status2xx)
        json.member("generated", counters, ListenerCounter.generated)
        json.member("client_aborts", counters, ListenerCounter.clientAborts)
        json.member("tunnels", counters, ListenerCounter.tunnels)
        json.member("received_bytes", counters, ListenerCounter.bytesFromClients)
        json.member("sent_bytes", counters, ListenerCounter.bytesToClients)
        json.members("ended", counters, ListenerCounter.firstReason, EndReason.self) { $0.name }
        if compiled.tls != nil { tls(facts, &json) }
        http2(counters, &json)
        json.latency("latency", compiled.totalTime)
        json.latency("target_latency", compiled.targetTime)
        json.key("rules")
        json.beginArray()
        for (index, rule) in compiled.ruleCounters.enumerated() {
            json.beginObject()
            json.member("name", compiled.ruleName(index))
            json.member("requests", rule, RuleCounter.requests)
            json.responses(rule, RuleCounter.status2xx)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return json.sink
    }

    /// Certificates in numbers: there may be thousands, and metrics have each.
    private mutating func tls(_ facts: Overview.ListenerFacts, _ json: inout JSONText<[UInt8]>) {
        let counters = facts.compiled.counters
        json.key("tls")
        json.beginObject()
        json.member("full_handshakes", counters, ListenerCounter.fullHandshakes)
        json.member("resumed_handshakes", counters, ListenerCounter.resumedHandshakes)
        json.key("handshake_failures")
        json.beginObject()
        for reason in TLSFailure.Reason.allCases {
            let count = counters.sum(ListenerCounter.firstHandshakeFailure + reason.index)
            if count > 0 { json.member(reason.rawValue, Int(truncatingIfNeeded: count)) }
        }
        json.endObject()
        json.member("certificates", facts.certificates.count)
        json.member("outdated_certificates", facts.certificates.count { $0.problem != nil })
        json.key("next_expiry")
        if let first = facts.certificates.map(\.notAfter).min() {
            json.string(UTCText.day(first))
        } else {
            json.null()
        }
        json.endObject()
    }

    private func http2(_ counters: CounterBlock, _ json: inout JSONText<[UInt8]>) {
        json.key("http2")
        json.beginObject()
        json.member("connections", counters.gauge(ListenerCounter.http2Open), atLeast: 0)
        json.member("connections_total", counters, ListenerCounter.http2Connections)
        json.members("connections_ended", counters, ListenerCounter.firstHTTP2End, HTTP2Fault.self) { $0.name }
        json.members("stream_faults", counters, ListenerCounter.firstHTTP2Fault, HTTP2Fault.self) { $0.name }
        json.endObject()
    }

    private func group(_ facts: Overview.GroupFacts) -> [UInt8] {
        let compiled = facts.compiled
        let counters = compiled.counters
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("name", compiled.settings.displayName)
        json.member("algorithm", compiled.settings.algorithm.rawValue)
        json.member("algorithm_in_force", compiled.settings.algorithmSummary)
        json.key("answered_by")
        if let other = facts.answeredBy { json.string(other) } else { json.null() }
        json.key("health_check")
        if let check = compiled.settings.healthSummary { json.string(check) } else { json.null() }
        json.member("fail_open", facts.isFailOpen)
        Self.tiers(facts.tiers, &json)
        json.member("health_transitions", facts.transitions)
        json.member("in_flight", counters.gauge(GroupCounter.inFlight), atLeast: 0)
        json.member("queued", counters.gauge(GroupCounter.queued), atLeast: 0)
        json.member("requests", counters, GroupCounter.requests)
        json.responses(counters, GroupCounter.status2xx)
        json.member("tries", counters, GroupCounter.tries)
        json.member("retries", counters, GroupCounter.retries)
        json.member("refused_retries", counters, GroupCounter.retriesRefusedByBudget)
        json.member("queue_overflows", counters, GroupCounter.queueOverflows)
        json.member("queue_timeouts", counters, GroupCounter.queueTimeouts)
        json.member("fail_open_tries", counters, GroupCounter.failOpen)
        json.member("no_target", counters, GroupCounter.noTarget)
        json.member("sorry", counters, GroupCounter.sorry)
        json.member("handed_on", counters, GroupCounter.handedOn)
        json.latency("latency", compiled.totalTime)
        json.latency("target_latency", compiled.targetTime)
        json.endObject()
        return json.sink
    }

    private func target(_ facts: Overview.TargetFacts) -> [UInt8] {
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("address", facts.label)
        json.member("backup", facts.isBackup)
        json.member("state", facts.state.name)
        json.member("reason", facts.reason.name)
        json.key("last_probe")
        if let lastProbe = facts.lastProbe { json.string(lastProbe) } else { json.null() }
        json.member("age_seconds", facts.age)
        json.member("weight", facts.weight)
        json.member("weight_overridden", facts.isWeightOverridden)
        json.key("effective_weight")
        json.number(EffectiveWeightText.number(facts.effectiveWeight))
        json.member("tier", facts.tier)
        json.key("zone")
        if let zone = facts.zone { json.string(zone) } else { json.null() }
        json.member("in_use", facts.isInUse)
        json.member("health_transitions", facts.transitions)
        facts.share.write(to: &json)
        json.key("agent")
        if let agent = facts.agent { agent.write(to: &json) } else { json.null() }
        guard let counters = facts.counters else {
            json.endObject()
            return json.sink
        }
        json.member("in_flight", counters.gauge(TargetCounter.inFlight), atLeast: 0)
        json.member("connections", counters.gauge(TargetCounter.connections), atLeast: 0)
        json.member("requests", counters, TargetCounter.requests)
        json.responses(counters, TargetCounter.status2xx)
        json.member("connect_failures", counters, TargetCounter.connectFailures)
        json.member("failures", counters, TargetCounter.failures)
        json.member("retries", counters, TargetCounter.retries)
        json.member("sent_bytes", counters, TargetCounter.bytesToTarget)
        json.member("received_bytes", counters, TargetCounter.bytesFromTarget)
        json.member("http2_connections_ended", counters, TargetCounter.http2Ends)
        json.member("http2_stream_faults", counters, TargetCounter.http2Faults)
        json.endObject()
        return json.sink
    }
}

extension JSONText<[UInt8]> {
    fileprivate mutating func member(_ name: String, _ counters: CounterBlock, _ index: Int) {
        member(name, Int(truncatingIfNeeded: counters.sum(index)))
    }

    fileprivate mutating func member(_ name: String, _ gauge: Int, atLeast least: Int) {
        member(name, max(gauge, least))
    }

    fileprivate mutating func member(_ name: String, _ span: Nanoseconds) {
        key(name)
        number(span.seconds)
    }

    /// Counters by reason or cause; those that never occurred are left out.
    fileprivate mutating func members<Reason: CaseIterable & RawRepresentable>(
        _ name: String, _ counters: CounterBlock, _ first: Int, _: Reason.Type, _ text: (Reason) -> String
    ) where Reason.RawValue: BinaryInteger {
        key(name)
        beginObject()
        for reason in Reason.allCases {
            let count = counters.sum(first + Int(reason.rawValue))
            if count > 0 { member(text(reason), Int(truncatingIfNeeded: count)) }
        }
        endObject()
    }

    fileprivate mutating func responses(_ counters: CounterBlock, _ first: Int) {
        key("responses")
        beginObject()
        for (offset, code) in ["2xx", "3xx", "4xx", "5xx"].enumerated() { member(code, counters, first + offset) }
        endObject()
    }

    /// The median and the 99th percentile in seconds, `null` before the first exchange.
    fileprivate mutating func latency(_ name: String, _ histogram: Histogram) {
        key(name)
        beginObject()
        for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
            key(quantile)
            if let bound = histogram.quantile(share) { number(Double(bound) / 1e9) } else { null() }
        }
        endObject()
    }
}
