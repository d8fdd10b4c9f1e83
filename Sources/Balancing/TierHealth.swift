/// What one target counts in the health of its tier: its weight while it is usable or was, whatever that is by now.
///
/// A weight that an operator, an agent or the target's own answers lower or raise says how much the target can take, and not
/// that it is ill: it counts as much among what there is as among what is usable. So does slow start, of which only weights
/// are known here: a target that comes back with less than it left with counts as before, until it has that much or is
/// lowered again.
struct TierHealth: Sendable {
    /// Usable or not.
    private(set) var whole: Int32
    private var weight: Int32
    private var isReturning = false

    /// - Parameter weight: as configured.
    init(weight: Int32) { (whole, self.weight) = (weight, weight) }

    /// `whole`, or 0 for who takes nothing.
    var usable: Int { weight > 0 ? Int(whole) : 0 }

    /// - Parameter new: 0...65,536; 0 takes no new flows.
    mutating func weightChanged(to new: Int32) {
        defer { weight = new }
        guard new > 0 else { return }
        if weight == 0 {
            isReturning = new < whole
        } else if new < weight || new >= whole {
            isReturning = false
        }
        if !isReturning { whole = new }
    }
}
