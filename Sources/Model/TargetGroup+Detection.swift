extension TargetGroup {
    /// The group whose checks tell how the targets of this one are: itself where it follows nobody.
    ///
    /// - Parameter groups: all of the configuration, by id.
    /// - Returns: `nil` where the way there leads nowhere or in a circle, which is refused elsewhere.
    public func checkedGroup(among groups: [String: TargetGroup]) -> TargetGroup? {
        var here = self
        for _ in 0...groups.count {
            guard let next = here.trackedGroup else { return here }
            guard let found = groups[next] else { return nil }
            here = found
        }
        return nil
    }
}
