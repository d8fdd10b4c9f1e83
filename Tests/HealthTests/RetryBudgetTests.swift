import PoiseHealth
import PoiseModel
import Testing

@Suite("Retry budget")
struct RetryBudgetTests {
    @Test("allows a share of the last 10 s of requests, exactly")
    func share() {
        var budget = RetryBudget(percent: 20, minPerSecond: 0)
        #expect(budget.allowsRetry(at: at(100)) == false)
        for _ in 0..<500 { budget.requestBegan(at: at(100)) }
        #expect((0..<200).count { _ in budget.allowsRetry(at: at(101)) } == 100)
        #expect((0..<200).count { _ in budget.allowsRetry(at: at(109.9)) } == 0)
        #expect((0..<200).count { _ in budget.allowsRetry(at: at(110)) } == 0, "the requests are gone")
        for _ in 0..<5 { budget.requestBegan(at: at(120)) }
        #expect((0..<5).count { _ in budget.allowsRetry(at: at(120)) } == 1)
    }

    @Test("allows its minimum in every second, without a single request")
    func minimum() {
        var budget = RetryBudget(percent: 20, minPerSecond: 10)
        for second in 0..<30 {
            #expect((0..<50).count { _ in budget.allowsRetry(at: at(Double(second) + 0.5)) } == 10)
        }
    }

    @Test("0 and 0 allow none; 100 percent allows one per request")
    func ends() {
        var none = RetryBudget(percent: 0, minPerSecond: 0)
        var all = RetryBudget(percent: 100, minPerSecond: 0)
        for _ in 0..<100 {
            none.requestBegan(at: at(1))
            all.requestBegan(at: at(1))
            #expect(none.allowsRetry(at: at(1)) == false)
            #expect(all.allowsRetry(at: at(1)) == true)
            #expect(all.allowsRetry(at: at(1)) == false)
        }
    }

    @Test("agrees with a list of events at any load", arguments: [UInt64](1...10))
    func oracle(seed: UInt64) {
        var random = Seeded(seed)
        let percent = Int.random(in: 0...60, using: &random)
        let minimum = Int.random(in: 0...5, using: &random)
        var policy = RetryPolicy()
        (policy.budgetPercent, policy.budgetMinPerSecond) = (percent, minimum)
        var budget = RetryBudget(policy)
        var requests: [Int64] = []
        var retries: [Int64] = []
        var now = 0.0
        for _ in 0..<3_000 {
            now += Double.random(in: 0...0.05, using: &random)
            let second = Int64(now)
            if Bool.random(using: &random) {
                budget.requestBegan(at: at(now))
                requests.append(second)
                continue
            }
            let allowed =
                retries.count { $0 == second } < minimum
                || (retries.count { $0 > second - 10 } + 1) * 100 <= percent * requests.count { $0 > second - 10 }
            #expect(budget.allowsRetry(at: at(now)) == allowed, "seed \(seed) at \(now)")
            if allowed { retries.append(second) }
        }
    }
}
