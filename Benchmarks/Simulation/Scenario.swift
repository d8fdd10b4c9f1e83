import PoiseModel

/// A group of targets, what goes wrong with one of them, and the requests that come.
///
/// Ten targets of 2 servers each, which take 50 ms on average: 400 requests a second in all, of which 60 % come.
/// `Benchmarks/algorithms.py` sets up the same with processes.
struct Scenario {
    /// A queue in order of arrival before some servers.
    struct Target {
        var servers = 2
        var weight = 1
        /// How many times the mean of others its answers take.
        var slowness = 1.0
        /// At first, when it has just joined, and falling to ``slowness`` over ``warmUp``.
        var slownessWhenCold = 1.0
        var warmUp = Nanoseconds.zero
        var joins = Nanoseconds.zero
        /// This share of its requests fails at once: 0...1.
        var failures = 0.0
        /// What it fails with. A 503 is a failure to passive checks, a 500 is not; `least_time` takes both for one.
        var failsAsUnavailable = true
        /// Everything fails for the last 2 s of every 5.
        var isFlapping = false
    }

    var name: String
    var title: String
    /// What the share column tells.
    var oddTarget: String
    var targets: [Target]
    /// Index of the odd one.
    var odd = 0
    var requestsPerSecond = 240.0
    var length = Nanoseconds.seconds(65)
    /// Requests that came earlier do not count.
    var measuredFrom = Nanoseconds.seconds(5)
    /// `limits.max_connections`, which `first` goes by.
    var flowsMax = 2
    var slowStart = Nanoseconds.zero
    /// Active and passive checks with their defaults.
    var hasHealthChecks = false

    /// Of one server that is not slow.
    static let serviceTime = Nanoseconds.milliseconds(50)
    /// Of a failure.
    static let failureTime = Nanoseconds.milliseconds(1)
    /// The group's timeout: an answer that is not there by then is an error.
    static let patience = Nanoseconds.seconds(2)
    static let flappingPeriod = Nanoseconds.seconds(5)
    static let flappingUptime = Nanoseconds.seconds(3)

    static let all: [Scenario] = {
        func ten(_ odd: Target = Target()) -> [Target] { [odd] + Array(repeating: Target(), count: 9) }
        var slow = Target()
        slow.slowness = 10
        var failing = Target()
        failing.failures = 0.1
        var blackHole = Target()
        (blackHole.failures, blackHole.failsAsUnavailable) = (1, false)
        var flapping = Target()
        flapping.isFlapping = true
        var cold = Target()
        (cold.joins, cold.slownessWhenCold, cold.warmUp) = (.seconds(10), 5, .seconds(20))
        let sizes = [1, 2, 4, 8]
        let unequal = sizes.map { Target(servers: 2 * $0) }
        let weighted = sizes.map { Target(servers: 2 * $0, weight: $0) }

        var all = [
            Scenario(name: "equal", title: "ten equal targets", oddTarget: "the first", targets: ten()),
            Scenario(
                name: "slow", title: "one of ten is ten times slower", oddTarget: "the slow one", targets: ten(slow)),
            Scenario(
                name: "errors", title: "one of ten fails 10 % of its requests at once, with 503",
                oddTarget: "the failing one", targets: ten(failing)),
            Scenario(
                name: "black_hole", title: "one of ten answers everything at once, with 500",
                oddTarget: "the black hole",
                targets: ten(blackHole)),
            Scenario(
                name: "flapping", title: "one of ten is down for 2 s of every 5, and nobody checks",
                oddTarget: "the flapping one", targets: ten(flapping)),
            Scenario(
                name: "flapping_checked", title: "the same with health checks, active and passive by their defaults",
                oddTarget: "the flapping one", targets: ten(flapping), hasHealthChecks: true),
            Scenario(
                name: "cold", title: "one of ten joins, five times slower at first, warm after 20 s",
                oddTarget: "the cold one", targets: ten(cold)),
            Scenario(
                name: "cold_slow_start", title: "the same with slow_start: 20s", oddTarget: "the cold one",
                targets: ten(cold), slowStart: .seconds(20)),
            Scenario(
                name: "mixed", title: "four targets of 2, 4, 8 and 16 servers, equal weights",
                oddTarget: "the smallest",
                targets: unequal, requestsPerSecond: 360, flowsMax: 8),
            Scenario(
                name: "mixed_weighted", title: "the same with weights 1, 2, 4 and 8", oddTarget: "the smallest",
                targets: weighted, requestsPerSecond: 360, flowsMax: 8),
        ]
        for index in all.indices where all[index].name.hasPrefix("cold") {
            (all[index].measuredFrom, all[index].length) = (.seconds(10), .seconds(30))
        }
        return all
    }()
}
