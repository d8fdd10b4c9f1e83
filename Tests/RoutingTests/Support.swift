import PoiseModel
import PoiseRouting

/// SplitMix64: the same sequence for the same seed on every machine.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// A text of `lengths` characters of `alphabet`.
    mutating func text(_ alphabet: String, lengths: ClosedRange<Int>) -> String {
        let characters = Array(alphabet)
        return String((0..<Int.random(in: lengths, using: &self)).map { _ in characters.randomElement(using: &self)! })
    }
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

extension Array<UInt8> {
    var text: String { String(decoding: self, as: UTF8.self) }
}

/// Every text over `alphabet` of at most `lengthMax` characters.
func allTexts(over alphabet: String, lengthMax: Int) -> [String] {
    var all = [""]
    var longest = [""]
    for _ in 0..<lengthMax {
        longest = longest.flatMap { text in alphabet.map { text + String($0) } }
        all += longest
    }
    return all
}

func rule(hosts: [String]? = nil, paths: [String]? = nil) -> Rule {
    var conditions: [Condition] = []
    if let hosts { conditions.append(.host(hosts.map { Glob($0) })) }
    if let paths { conditions.append(.path(paths.map { Glob($0) })) }
    return Rule(id: "r", conditions: conditions, action: .fixedResponse(FixedResponse(status: 200)))
}

extension RouteTable {
    func match(_ host: String, _ path: String) -> Int? {
        let (host, path) = (utf8(host), utf8(path))
        return match(host: host.span, path: path.span)
    }

    func explain(_ host: String, _ path: String) -> [RuleTrace] {
        let (host, path) = (utf8(host), utf8(path))
        return explain(host: host.span, path: path.span)
    }

    /// The answer of the naive evaluation.
    func oracle(_ host: String, _ path: String) -> Int? {
        explain(host, path).last.flatMap { $0.mismatch == nil ? $0.rule : nil }
    }
}

/// The same question of an array: `#expect` cannot take a span apart.
func isNormal(_ path: [UInt8]) -> Bool { PathNormalization.isNormal(path.span) }
