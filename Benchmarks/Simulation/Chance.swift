import PoiseBalancing

/// Repeatable random numbers by additions and comparisons only: the same on every machine, as a library's logarithm is not.
struct Chance {
    private var bits: RandomSequence

    init(seed: UInt64) { bits = RandomSequence(seed: mix64(seed)) }

    mutating func next() -> UInt64 { bits.next() }

    /// 0 to just below 1.
    mutating func uniform() -> Double { Double(bits.next() >> 11) * 0x1p-53 }

    /// 0..<bound.
    mutating func below(_ bound: Int) -> Int { Int(bits.next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// Exponentially distributed, of mean 1.
    ///
    /// Source: von Neumann, "Various techniques used in connection with random digits", 1951: a run of falling uniform
    /// numbers that begins with x has an even length, its end included, with probability e^-x.
    mutating func exponential() -> Double {
        var whole = 0.0
        while true {
            let first = uniform()
            var last = first
            var length = 2
            while case let number = uniform(), number < last { (last, length) = (number, length + 1) }
            if length % 2 == 0 { return whole + first }
            whole += 1
        }
    }
}
