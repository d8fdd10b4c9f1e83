import PoiseModel

/// Which Poise this is, as far as that decides which targets it uses.
public struct NodePlace: Sendable, Equatable {
    /// Its zone; `nil` where nobody said.
    public var zone: String?
    /// Different for each Poise in front of the same targets, the same after a restart.
    public var node: String

    public init(zone: String? = nil, node: String = "") { (self.zone, self.node) = (zone, node) }

    /// What of it `group` goes by: the rest may change without a change for the group.
    public func asSeen(by group: TargetGroup) -> NodePlace {
        NodePlace(zone: group.zonePreference.mode == .off ? nil : zone, node: group.subsetSize == nil ? "" : node)
    }
}
