import PoiseBalancing

/// A view over plain arrays.
struct Targets: TargetView {
    var weights: [Int]
    var loads: [Int]
    /// Microseconds; `nil` at an index is a target that never answered, an empty list means 1 ms everywhere.
    var answerTimes: [Int?] = []

    init(weights: [Int], loads: [Int]? = nil) {
        self.weights = weights
        self.loads = loads ?? Array(repeating: 0, count: weights.count)
    }

    var count: Int { weights.count }
    func weight(at index: Int) -> Int { weights[index] }
    func load(at index: Int) -> Int { loads[index] }
    func answerTime(at index: Int) -> Int? { answerTimes.isEmpty ? 1_000 : answerTimes[index] }
    var totalLoad: Int { loads.reduce(0, +) }
    /// Part of each target, for schedulers of several.
    var parts: [Int] = []
    func totalLoad(ofPart part: Int) -> Int {
        loads.indices.reduce(0) { $0 + (parts[$1] == part ? loads[$1] : 0) }
    }
}

/// Repeatable random numbers; tests print the seed.
struct Seeded: RandomNumberGenerator {
    private var counter: UInt64
    init(_ seed: UInt64) { counter = mix64(seed) }
    mutating func next() -> UInt64 {
        counter &+= 0x9E37_79B9_7F4A_7C15
        return mix64(counter)
    }
}

extension Exclusions {
    init(_ indices: [Int]) {
        self.init()
        for index in indices { insert(index) }
    }
}

/// Every list of `length` numbers from `values`.
func everyList(of values: ClosedRange<Int>, length: Int) -> [[Int]] {
    guard length > 0 else { return [[]] }
    return everyList(of: values, length: length - 1).flatMap { list in values.map { list + [$0] } }
}

func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
