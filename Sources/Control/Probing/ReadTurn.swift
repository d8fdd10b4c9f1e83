/// How much of what a target says is read in one wake-up of the loop. A target that never stops must not keep the others, nor its
/// own deadline, waiting: who has had its turn asks for the next one with `again()`.
struct ReadTurn {
    private var remaining = 65_536

    var goesOn: Bool { remaining > 0 }

    /// - Parameter count: what one receive gave. A small one costs as much as one of a page: it is a system call too.
    mutating func took(_ count: Int) { remaining -= max(count, 4096) }
}
