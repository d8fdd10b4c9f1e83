import PoiseModel

/// Which hook of a new configuration is which one of the configuration before: it keeps that one's queue and counts.
///
/// A name tells. Without one, a hook is the one that is equal, wherever it stands now; else one that tells the same address or
/// program, or is told of the same. Where that fits several and one of them was added or removed, nobody can say which:
/// what the old ones had waiting is not for the new ones to tell.
enum HookIdentity {
    /// - Returns: for each of `new` its place among `old`; `nil` for one that was not there. No place is in it twice.
    static func places(of new: [NotifyHook], among old: [NotifyHook]) -> [Int?] {
        var matching = Matching(old: old, new: new)
        matching.pair { $0.name != nil && $0.name == $1.name }
        matching.pairUnnamed { $0.isTwin(of: $1) }
        matching.pairUnnamed { $0.tellsWhom($1) && $0.isToldWhat($1) }
        matching.pairUnnamed(ifAsMany: true) { $0.tellsWhom($1) }
        matching.pairUnnamed(ifAsMany: true) { $0.isToldWhat($1) }
        return matching.places
    }

    private struct Matching {
        let old: [NotifyHook]
        let new: [NotifyHook]
        var places: [Int?]
        var left: [Int]

        init(old: [NotifyHook], new: [NotifyHook]) {
            (self.old, self.new) = (old, new)
            (places, left) = (new.map { _ in nil }, Array(old.indices))
        }

        mutating func pair(_ isSame: (NotifyHook, NotifyHook) -> Bool) {
            for index in new.indices where places[index] == nil {
                guard let place = left.first(where: { isSame(old[$0], new[index]) }) else { continue }
                places[index] = place
                left.removeAll { $0 == place }
            }
        }

        /// Of hooks of which at most one has a name: two names say who is who.
        ///
        /// - Parameter ifAsMany: only where there are as many such hooks as before.
        mutating func pairUnnamed(ifAsMany: Bool = false, _ isSame: (NotifyHook, NotifyHook) -> Bool) {
            func fits(_ a: NotifyHook, _ b: NotifyHook) -> Bool { (a.name == nil || b.name == nil) && isSame(a, b) }
            guard ifAsMany else { return pair(fits) }
            let unpaired = new.indices.filter { places[$0] == nil }
            let isClear = unpaired.map { index in
                left.count { fits(old[$0], new[index]) } == unpaired.count { isSame(new[$0], new[index]) }
            }
            let clear = zip(unpaired, isClear).filter(\.1).map { new[$0.0] }
            pair { a, b in fits(a, b) && clear.contains { $0 == b } }
        }
    }
}

extension NotifyHook {
    /// Equal but for the name.
    fileprivate func isTwin(of other: NotifyHook) -> Bool {
        var other = other
        other.name = name
        return self == other
    }

    fileprivate func tellsWhom(_ other: NotifyHook) -> Bool { command == other.command && webhook == other.webhook }
    fileprivate func isToldWhat(_ other: NotifyHook) -> Bool { events == other.events && groups == other.groups }
}
