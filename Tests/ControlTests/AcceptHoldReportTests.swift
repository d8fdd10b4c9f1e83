import PoiseModel
import PoisePlatform
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("What is said of listeners that accept nothing")
struct AcceptHoldReportTests {
    /// The reasons that are said, in order.
    private func said(_ holds: [(listener: String, hold: AcceptHold, code: CInt, second: Int64)]) -> [String] {
        var reasons: [String] = []
        let report = AcceptHoldReport { event in
            for field in event.fields where field.name == "reason" { reasons.append(field.value) }
        }
        for entry in holds {
            report.held(
                entry.listener, entry.hold, code: entry.code,
                at: MonotonicTime(nanoseconds: entry.second * 1_000_000_000))
        }
        return reasons
    }

    @Test("an error of the system is no lack of descriptors, and says which it is")
    func systemError() {
        let reasons = said([("web", .systemError, 1, 0), ("web", .descriptors, 0, 0)])
        #expect(
            reasons == ["accept(2) fails: Operation not permitted (errno 1)", "no descriptor is free"])
    }

    @Test("each is said once in ten seconds: per process, per listener, or per listener and error")
    func silence() {
        #expect(said([("a", .descriptors, 0, 0), ("b", .descriptors, 0, 9), ("b", .descriptors, 0, 10)]).count == 2)
        #expect(
            said([("a", .listenerLimit, 0, 0), ("b", .listenerLimit, 0, 1), ("a", .listenerLimit, 0, 2)]).count == 2)
        #expect(
            said([
                ("a", .systemError, 1, 0), ("a", .systemError, 1, 1), ("a", .systemError, 71, 2),
                ("b", .systemError, 1, 3),
            ]).count == 3)
    }
}
