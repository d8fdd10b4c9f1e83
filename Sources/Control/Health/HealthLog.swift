import PoiseHealth
import PoiseModel
import PoisePlatform
import PoiseTelemetry

/// The health log: a line of JSON for each change of a target and of a group.
///
///     {"time":"2026-11-20T23:20:40.123Z","type":"target","group":"web","target":"10.0.0.1:80","from":"healthy",
///      "from_reason":"none","to":"unhealthy","reason":"timeout","evidence":"no answer after 2000 ms",
///      "previous_seconds":86400.5}
///     {"time":"…","type":"group","group":"web","from":"ordinary","to":"fail_open"}
public final class HealthLog {
    private let writer: LineWriter

    public init(_ writer: LineWriter) { self.writer = writer }

    public func write(_ event: HealthEvent) {
        var json = JSONText([UInt8]())
        json.beginObject()
        switch event {
        // Traffic takes some of a weight; the target is as healthy as before.
        case .weight, .overridesEnded, .flagFile, .forgotten: return
        case .transition(let change):
            head("target", change.group, at: change.to.since, &json)
            json.member("target", change.target)
            json.member("from", change.from.state.name)
            json.member("from_reason", change.from.reason.name)
            json.member("to", change.to.state.name)
            json.member("reason", change.to.reason.name)
            json.key("evidence")
            if let evidence = change.evidence { json.string(evidence) } else { json.null() }
            json.key("previous_seconds")
            json.number((change.to.since - change.from.since).seconds)
        case .availability(let group, let from, let to):
            head("group", group, at: nil, &json)
            json.member("from", from.name)
            json.member("to", to.name)
        case .minimum(let group, let isMet):
            head("minimum", group, at: nil, &json)
            json.member("from", isMet ? "below_minimum" : "minimum_met")
            json.member("to", isMet ? "minimum_met" : "below_minimum")
        }
        json.endObject()
        writer.write(json.sink + [0x0A])
    }

    private func head(_ type: String, _ group: String, at moment: MonotonicTime?, _ json: inout JSONText<[UInt8]>) {
        json.member("time", UTCText.timestamp(WallClock.nanoseconds(of: moment)))
        json.member("type", type)
        json.member("group", group)
    }
}

/// Points of the loop's clock as time of day.
enum WallClock {
    /// - Parameter moment: `nil` is now.
    /// - Returns: nanoseconds since 1970.
    static func nanoseconds(of moment: MonotonicTime?) -> Int64 {
        guard let moment else { return Clock.wall }
        return Clock.wall - (Clock.monotonic - moment).count
    }
}
