import PoiseHTTP
import PoiseLive
import PoiseModel
import PoiseProxy

/// One metric: its name, what it is, and how the samples of one object are written.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable { case counter, gauge, histogram }
    /// What the family has samples of.
    enum Subject: Sendable { case process, listener, rule, group, target }

    let name: String
    let kind: Kind
    let help: String
    let subject: Subject
    /// - Parameter index: of the object among those of its kind.
    let write: @Sendable (_ objects: MetricObjects, _ index: Int, _ writer: inout SampleWriter) -> Void
}

/// The objects of an overview, numbered.
struct MetricObjects: Sendable {
    let overview: Overview
    /// (listener, rule) and (group, target).
    let rules: [(listener: Int, rule: Int)]
    let targets: [(group: Int, target: Int)]
    /// By id, where some group goes by another one; else empty.
    let groups: [String: TargetGroup]

    init(_ overview: Overview) {
        self.overview = overview
        let settings = overview.groups.map(\.compiled.settings)
        groups =
            settings.contains { $0.trackedGroup != nil }
            ? Dictionary(settings.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }) : [:]
        rules = overview.listeners.indices.flatMap { listener in
            overview.listeners[listener].compiled.ruleCounters.indices.map { (listener, $0) }
        }
        targets = overview.groups.indices.flatMap { group in
            overview.groups[group].targets.indices.map { (group, $0) }
        }
    }

    func count(of subject: MetricFamily.Subject) -> Int {
        switch subject {
        case .process: 1
        case .listener: overview.listeners.count
        case .rule: rules.count
        case .group: overview.groups.count
        case .target: targets.count
        }
    }

    func listener(_ index: Int) -> CompiledListener { overview.listeners[index].compiled }
    func group(_ index: Int) -> Overview.GroupFacts { overview.groups[index] }
    func facts(ofTarget index: Int) -> Overview.TargetFacts {
        overview.groups[targets[index].group].targets[targets[index].target]
    }

    func label(_ subject: MetricFamily.Subject, _ index: Int, _ writer: inout SampleWriter) {
        switch subject {
        case .process: break
        case .listener: writer.label("listener", listener(index).settings.displayName)
        case .rule:
            let place = rules[index]
            label(.listener, place.listener, &writer)
            writer.label("rule", listener(place.listener).ruleName(place.rule))
        case .group: writer.label("target_group", group(index).compiled.settings.displayName)
        case .target:
            let place = targets[index]
            label(.group, place.group, &writer)
            writer.label("target", facts(ofTarget: index).label)
        }
    }

    /// `nil` for a target that has no address and so no traffic.
    func counters(of subject: MetricFamily.Subject, _ index: Int) -> CounterBlock? {
        switch subject {
        case .listener: listener(index).counters
        case .rule: listener(rules[index].listener).ruleCounters[rules[index].rule]
        case .group: group(index).compiled.counters
        case .target: facts(ofTarget: index).counters
        case .process: preconditionFailure("the process has no block of counters")
        }
    }
}

extension MetricFamily {
    /// A counter of an object's block.
    static func counter(_ name: String, _ subject: Subject, _ counter: Int, _ help: String) -> MetricFamily {
        MetricFamily(name: name, kind: .counter, help: help, subject: subject) { objects, index, writer in
            guard let counters = objects.counters(of: subject, index) else { return }
            writer.begin()
            objects.label(subject, index, &writer)
            writer.value(counters.sum(counter))
        }
    }

    /// A gauge of an object's block. Never below 0: rows are read one after the other.
    static func gauge(_ name: String, _ subject: Subject, _ counter: Int, _ help: String) -> MetricFamily {
        MetricFamily(name: name, kind: .gauge, help: help, subject: subject) { objects, index, writer in
            guard let counters = objects.counters(of: subject, index) else { return }
            writer.begin()
            objects.label(subject, index, &writer)
            writer.value(.number(counters.gauge(counter)))
        }
    }

    /// Answers by class of status.
    static func responses(_ name: String, _ subject: Subject, _ first: Int, _ help: String) -> MetricFamily {
        MetricFamily(name: name, kind: .counter, help: help, subject: subject) { objects, index, writer in
            guard let counters = objects.counters(of: subject, index) else { return }
            for (offset, code) in ["2xx", "3xx", "4xx", "5xx"].enumerated() {
                writer.begin()
                objects.label(subject, index, &writer)
                writer.label("code", code)
                writer.value(counters.sum(first + offset))
            }
        }
    }

    /// Counters by reason or cause, those that never occurred left out unless `showsAll`.
    static func counters<Reason: CaseIterable & RawRepresentable & Sendable>(
        _ name: String, _ subject: Subject, _ first: Int, by label: String, of: Reason.Type, showsAll: Bool = false,
        _ help: String, _ text: @escaping @Sendable (Reason) -> String
    ) -> MetricFamily where Reason.RawValue: BinaryInteger {
        MetricFamily(name: name, kind: .counter, help: help, subject: subject) { objects, index, writer in
            guard let counters = objects.counters(of: subject, index) else { return }
            for reason in Reason.allCases {
                let count = counters.sum(first + Int(reason.rawValue))
                guard count > 0 || showsAll else { continue }
                writer.begin()
                objects.label(subject, index, &writer)
                writer.label(label, text(reason))
                writer.value(count)
            }
        }
    }

    /// One sample of the process.
    static func process(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (Overview.Process) -> SampleValue
    ) -> MetricFamily {
        one(name, kind, .process, help) { objects, _ in value(objects.overview.process) }
    }

    /// Samples of the process with a label that tells them apart.
    static func process(
        _ name: String, _ kind: Kind, _ help: String, by label: String,
        _ values: @escaping @Sendable (Overview.Process) -> [(String, SampleValue)]
    ) -> MetricFamily {
        MetricFamily(name: name, kind: kind, help: help, subject: .process) { objects, _, writer in
            for (text, value) in values(objects.overview.process) {
                writer.begin()
                writer.label(label, text)
                writer.value(value)
            }
        }
    }

    static func group(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (Overview.GroupFacts) -> SampleValue
    ) -> MetricFamily {
        one(name, kind, .group, help) { objects, index in value(objects.group(index)) }
    }

    static func target(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (Overview.TargetFacts) -> SampleValue
    ) -> MetricFamily {
        one(name, kind, .target, help) { objects, index in value(objects.facts(ofTarget: index)) }
    }

    /// One sample of each object.
    private static func one(
        _ name: String, _ kind: Kind, _ subject: Subject, _ help: String,
        _ value: @escaping @Sendable (MetricObjects, Int) -> SampleValue
    ) -> MetricFamily {
        MetricFamily(name: name, kind: kind, help: help, subject: subject) { objects, index, writer in
            writer.begin()
            objects.label(subject, index, &writer)
            writer.value(value(objects, index))
        }
    }

    static func histogram(
        _ name: String, _ subject: Subject, _ help: String,
        _ histogram: @escaping @Sendable (MetricObjects, Int) -> Histogram
    ) -> MetricFamily {
        MetricFamily(name: name, kind: .histogram, help: help, subject: subject) { objects, index, writer in
            write(histogram(objects, index), &writer) { objects.label(subject, index, &$0) }
        }
    }

    /// Histograms of the process with a label that tells them apart.
    static func histograms(
        _ name: String, _ help: String, by label: String,
        _ values: @escaping @Sendable (Overview.Process) -> [(String, Histogram)]
    ) -> MetricFamily {
        MetricFamily(name: name, kind: .histogram, help: help, subject: .process) { objects, _, writer in
            for (text, histogram) in values(objects.overview.process) {
                write(histogram, &writer) { $0.label(label, text) }
            }
        }
    }

    /// Buckets at whole octaves, cumulative. Each count is read once, so that the buckets, `+Inf` and `_count` of one
    /// scrape agree with each other.
    static func write(
        _ histogram: Histogram, _ writer: inout SampleWriter, labels: (inout SampleWriter) -> Void
    ) {
        let sum = histogram.sum
        var total: UInt64 = 0
        for bucket in 0..<Histogram.bucketCount {
            total += histogram.count(bucket)
            guard let bound = Histogram.upperBound(bucket), bound & (bound - 1) == 0 else { continue }
            writer.begin("_bucket")
            labels(&writer)
            writer.label("le", SampleWriter.secondsText(bound))
            writer.value(total)
        }
        writer.begin("_bucket")
        labels(&writer)
        writer.label("le", "+Inf")
        writer.value(total)
        writer.begin("_sum")
        labels(&writer)
        writer.seconds(sum)
        writer.begin("_count")
        labels(&writer)
        writer.value(total)
    }
}
