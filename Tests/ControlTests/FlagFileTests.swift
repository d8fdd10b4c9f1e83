import PoiseHealth
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("Flag files and fail-open")
struct FlagFileTests {
    /// A page, and a flag file that takes out.
    private func flagged(
        _ id: String = "a", _ sign: FileProbe.Sign = .exists, _ need: HealthChecks.Need = .all,
        _ change: @escaping (inout TargetGroup) -> Void = { _ in }
    ) -> TargetGroup {
        var (page, file) = (HealthCheck(), HealthCheck())
        page.kind = .http(HTTPProbe())
        (page.unhealthyThreshold, page.healthyThreshold) = (1, 1)
        file.kind = .file(FileProbe(path: "/flag-{target}", downWhen: sign))
        return group(id, [target(1), target(2)]) {
            $0.healthChecks = HealthChecks([.init(page), .init(file)], need: need)
            change(&$0)
        }
    }

    /// One look at the flag of a target.
    private func look(_ last: Int, _ state: FileState, _ bench: HealthBench, _ now: Double) {
        let file = bench.engine.target(label(last), in: "a")!.checks[1]
        let isWell =
            if case .file(let probe) = file.spec.check.kind { (state == .exists) == (probe.downWhen == .missing) } else
            { false }
        bench.end(file, isWell ? .succeeded : .failed(.maintenanceFile), .file(path: "/flag", state), now)
        bench.engine.flush(at: at(now))
    }

    private func page(_ last: Int, _ reason: TargetReason?, _ bench: HealthBench, _ now: Double) {
        let page = bench.engine.target(label(last), in: "a")!.checks[0]
        bench.end(page, reason.map { .failed($0) } ?? .succeeded, .status(reason == nil ? 200 : 503), now)
        bench.engine.flush(at: at(now))
    }

    private func start(_ groups: [TargetGroup]) throws -> HealthBench {
        let bench = HealthBench()
        try bench.apply(configuration(groups))
        for last in 1...2 {
            page(last, nil, bench, 1)
            look(last, .missing, bench, 1)
        }
        return bench
    }

    @Test("a target whose flag is there is tried by nobody, and where all have theirs nobody answers")
    func allFlagged() throws {
        let bench = try start([flagged()])
        look(1, .exists, bench, 2)
        #expect(bench.weights(of: "a") == [0, 256])
        page(2, .responseMismatch, bench, 3)
        #expect(
            bench.availability == [.failOpen] && bench.weights(of: "a") == [0, 256], "the dead one, not the flagged one"
        )
        look(2, .exists, bench, 4)
        #expect(bench.availability == [.failOpen, .none] && bench.weights(of: "a") == [0, 0])
        #expect(bench.failOpen == [])
        #expect(bench.state(1)?.state == .unhealthy && bench.state(1)?.reason == .maintenanceFile)
        look(2, .missing, bench, 5)
        #expect(bench.availability.last == .failOpen && bench.weights(of: "a") == [0, 256])
        look(1, .missing, bench, 6)
        #expect(bench.availability.last == .ordinary && bench.weights(of: "a") == [256, 0])
    }

    @Test("the group's own answer comes where all are flagged")
    func sorry() throws {
        let bench = try start([flagged { $0.sorryResponse = FixedResponse(status: 503) }])
        for last in 1...2 { look(last, .exists, bench, 2) }
        #expect(bench.availability == [.sorry])
    }

    @Test("a target that was dead before its flag came is out of fail-open from then on, its state as it was")
    func deadBefore() throws {
        let bench = try start([flagged()])
        for last in 1...2 { page(last, .responseMismatch, bench, 2) }
        #expect(bench.weights(of: "a") == [256, 256])
        let changes = bench.transitions.count
        look(1, .exists, bench, 3)
        #expect(bench.weights(of: "a") == [0, 256] && bench.transitions.count == changes)
        #expect(bench.state(1)?.reason == .responseMismatch)
        look(1, .missing, bench, 4)
        #expect(bench.weights(of: "a") == [256, 256])
    }

    @Test("a sign of life that is missing is a failure as any other: fail-open tries the target")
    func signOfLife() throws {
        let bench = HealthBench()
        try bench.apply(configuration([flagged("a", .missing)]))
        for last in 1...2 { look(last, .missing, bench, 1) }
        #expect(bench.availability == [.failOpen] && bench.weights(of: "a") == [256, 256])
    }

    @Test("who follows a flagged target is tried by nobody either, also where both were dead before")
    func followers() throws {
        let following = { (id: String, leader: String) in
            group(id, [target(1), target(2)]) { ($0.healthCheck, $0.trackedGroup) = (nil, leader) }
        }
        let groups = [flagged(), following("b", "a"), following("c", "b")]
        let bench = try start(groups)
        for last in 1...2 { page(last, .responseMismatch, bench, 2) }
        look(1, .exists, bench, 3)
        for id in ["b", "c"] { #expect(bench.weights(of: id) == [0, 256]) }
        try bench.apply(configuration(groups + [following("d", "a")]), 4)
        #expect(bench.weights(of: "d") == [0, 256])
        // Without the file's check nobody knows of a flag.
        try bench.apply(configuration([flagged { $0.healthChecks.parts.removeLast() }, groups[1], groups[2]]), 5)
        for id in ["a", "b", "c"] { #expect(bench.weights(of: id) == [256, 256]) }
    }

    @Test("where the other check is enough the flag keeps nobody out, until that fails as well")
    func anyIsEnough() throws {
        let bench = try start([flagged("a", .exists, .any)])
        for last in 1...2 { look(last, .exists, bench, 2) }
        #expect(bench.weights(of: "a") == [256, 256])
        for last in 1...2 { page(last, .responseMismatch, bench, 3) }
        #expect(bench.weights(of: "a") == [0, 0] && bench.availability == [.none])
    }
}
