import PoiseModel

/// What becomes of listening sockets from one configuration to the next: which stay, which are new, which go.
struct ListenerPlan {
    struct Fresh {
        let listener: String
        /// For errors: `listeners[2].address[0]`.
        let path: String
        let address: ListenAddress
        /// Sockets of ours on the same address, which go with this change.
        var ours: [ListenerBinder.Bound] = []
    }

    private(set) var kept: [String: [ListenerBinder.Bound]] = [:]
    private(set) var fresh: [Fresh] = []
    private(set) var going: [ListenerBinder.Bound] = []
    /// Listeners that were somewhere else altogether: their connections are those of a removed listener.
    private(set) var moved: Set<String> = []
    private(set) var removed: [String] = []

    init(from bound: [String: [ListenerBinder.Bound]], to configuration: Configuration) {
        for (index, listener) in configuration.listeners.enumerated() {
            var open = bound[listener.id] ?? []
            let hadAny = !open.isEmpty
            var kept: [ListenerBinder.Bound] = []
            for (place, address) in listener.addresses.enumerated() {
                // One by one: `:0` twice means two sockets.
                if let position = open.firstIndex(where: { $0.configured == address }) {
                    kept.append(open.remove(at: position))
                } else {
                    fresh.append(
                        Fresh(listener: listener.id, path: "listeners[\(index)].address[\(place)]", address: address))
                }
            }
            if hadAny, kept.isEmpty { moved.insert(listener.id) }
            self.kept[listener.id] = kept
            going += open
        }
        removed = bound.keys.filter { kept[$0] == nil }.sorted()
        for id in removed { going += bound[id] ?? [] }
        for index in fresh.indices {
            fresh[index].ours = going.filter { $0.configured.collides(with: fresh[index].address) }
        }
        // Addresses that others may hold are tried first: taking over from ourselves hardly fails.
        fresh = fresh.filter(\.ours.isEmpty) + fresh.filter { !$0.ours.isEmpty }
    }
}
