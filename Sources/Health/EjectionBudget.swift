/// How many targets of a group may be ejected at once.
public enum EjectionBudget {
    /// Never the last usable one; the first always (one of two can go, whatever the share); then up to the share.
    ///
    /// - Parameters:
    ///   - targets: in the group's tier (ordinary or backup), whatever their state.
    ///   - usable: of those, how many take new flows now, the candidate included.
    ///   - ejected: of those, how many are ejected now.
    ///   - percentMax: 0...100; 0 turns ejection off.
    public static func allows(targets: Int, usable: Int, ejected: Int, percentMax: Int) -> Bool {
        guard usable > 1, percentMax > 0 else { return false }
        return ejected == 0 || (ejected + 1) * 100 <= percentMax * targets
    }
}
