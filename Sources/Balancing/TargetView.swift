/// All that an algorithm may know of a group's targets.
///
/// Numbers only, so that L7, L4, DNS and a client library share the algorithms. Implementations are
/// `@inlinable` structs: a pick is specialised for its view, and nothing is boxed.
public protocol TargetView {
    /// Targets of the group, usable or not.
    var count: Int { get }
    /// Effective weight, 0...65,536 (``EffectiveWeight``); 0 means "no new flows".
    ///
    /// Asked at the moment of the pick: a target whose answer is 0 is never chosen, even where the algorithm
    /// has not yet been told by `weightChanged`.
    func weight(at index: Int) -> Int
    /// Flows in progress, 0 or more. May change under the algorithm: other workers write it.
    func load(at index: Int) -> Int
    /// Microseconds from a flow to its answer, lately, 1 or more; `nil` where none came yet. Asked by `least_time` only.
    func answerTime(at index: Int) -> Int?
    /// Flows in progress in the whole group, 0 or more. Asked once per pick, and only where loads are bounded.
    var totalLoad: Int { get }
    /// Flows in progress at the targets of one part of the group, as ``TieredScheduler/part(of:)`` numbers them: the sum of
    /// their loads. Asked once per pick, and only where loads are bounded and tiers, zones or backups make several parts.
    func totalLoad(ofPart part: Int) -> Int
}

/// The scale of effective weights: a configured weight of 0...256, in 256ths, so that slow start has room
/// between the whole numbers.
public enum EffectiveWeight {
    /// What a configured weight of 256 counts.
    public static let max = 65_536

    /// - Parameter weight: 0...256 as configured.
    @inlinable public static func of(_ weight: Int) -> Int { weight * 256 }
}
