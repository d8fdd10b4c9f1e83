import PoiseModel
import PoiseRouting

/// Two mixes of rules. `usual`: each pattern has a literal end of its own. `residual`: a tenth of them share both ends
/// with the others (`/v?/files-7/*.json`), which only a try of each can tell apart.
enum RoutingBenchmark {
    enum Mix: String, CaseIterable { case usual, residual }

    static func rule(_ index: Int, _ mix: Mix) -> Rule {
        let conditions: [Condition] =
            switch index % 10 {
            case 0, 1: [.host([Glob("shop-\(index).example.test")])]
            case 2, 3: [.host([Glob("*.tenant-\(index).example.test")])]
            case 4, 5: [.path([Glob("/service-\(index)/*")])]
            case 6, 7: [.host([Glob("api.example.test")]), .path([Glob("/v1/resource-\(index)")])]
            case 8: [.path([Glob("*.type\(index)")])]
            default:
                [
                    .host([Glob("api.example.test")]),
                    .path([Glob(mix == .usual ? "/v1/files-\(index)/*.json" : "/v?/files-\(index)/*.json")]),
                ]
            }
        return Rule(
            id: "rule-\(index)", conditions: conditions, action: .fixedResponse(FixedResponse(status: 200)))
    }

    /// A request that the rule of that index matches.
    static func request(_ index: Int) -> (host: String, path: String) {
        switch index % 10 {
        case 0, 1: ("shop-\(index).example.test", "/cart/items")
        case 2, 3: ("www.tenant-\(index).example.test", "/index.html")
        case 4, 5: ("other.test", "/service-\(index)/list")
        case 6, 7: ("API.example.test", "/v1/resource-\(index)")
        case 8: ("other.test", "/download/file.type\(index)")
        default: ("api.example.test", "/v1/files-\(index)/a/b.json")
        }
    }

    /// Requests as they lie in a buffer.
    struct Requests {
        var bytes: [UInt8] = []
        var ranges: [(host: Range<Int>, path: Range<Int>)] = []

        init(_ indices: [Int]) {
            for index in indices {
                let (host, path) = request(index)
                let start = bytes.count
                bytes += Array(host.utf8)
                let middle = bytes.count
                bytes += Array(path.utf8)
                ranges.append((start..<middle, middle..<bytes.count))
            }
        }
    }

    static func run() {
        let clock = ContinuousClock()
        print("mix       rules  compile µs  hit ns  miss ns  isNormal ns")
        for mix in Mix.allCases {
            for count in [0, 1, 10, 100, 1_000, 10_000] {
                let rules = (0..<count).map { rule($0, mix) }
                let start = clock.now
                let table = RouteTable(rules: rules)
                let compile = clock.now - start
                // 70 requests that visit the whole table, all shapes alike.
                let indices = (0..<70).map { count == 0 ? $0 : $0 * 7919 % count }
                let hits = Requests(indices)
                for (index, range) in zip(indices, hits.ranges) where count > 0 {
                    let bytes = hits.bytes.span
                    let found = table.match(host: bytes.extracting(range.host), path: bytes.extracting(range.path))
                    precondition(found == index, "measures the right answer")
                }
                let misses = Requests((0..<70).map { 20_000 + $0 })
                let hit = nanoseconds(clock, hits) { table.match(host: $0, path: $1) ?? -1 }
                let miss = nanoseconds(clock, misses) { table.match(host: $0, path: $1) ?? -1 }
                let normal = nanoseconds(clock, hits) { PathNormalization.isNormal($1) ? 1 : 0 }
                let compileMicroseconds = compile.components.attoseconds / 1_000_000_000_000
                print("\(mix)\t\(count)\t\(compileMicroseconds)\t\(hit)\t\(miss)\t\(normal)")
            }
        }
    }

    /// The best of nine rounds, in whole nanoseconds per call.
    private static func nanoseconds(
        _ clock: ContinuousClock, _ requests: Requests, _ body: (Span<UInt8>, Span<UInt8>) -> Int
    ) -> Int64 {
        let turns = 300
        var (best, sum): (Duration, Int) = (.seconds(60), 0)
        let bytes = requests.bytes.span
        for _ in 0..<9 {
            let time = clock.measure {
                for _ in 0..<turns {
                    for (host, path) in requests.ranges {
                        sum &+= body(bytes.extracting(host), bytes.extracting(path))
                    }
                }
            }
            best = min(best, time)
        }
        precondition(sum != .min, "keeps the calls alive")
        return best.components.attoseconds / 1_000_000_000 / Int64(turns * requests.ranges.count)
    }
}
