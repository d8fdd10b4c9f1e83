/// What a connection keeps of one stream. RFC 9113 §5.1
///
///     free --opened by either side--> open --END_STREAM both ways, or RST_STREAM--> closed --owner's release--> free
struct HTTP2Stream: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        /// Somebody owns the slot.
        static var inUse: Flags { Flags(rawValue: 0x1) }
        /// Counts towards SETTINGS_MAX_CONCURRENT_STREAMS and is found by its number.
        static var isOpen: Flags { Flags(rawValue: 0x2) }
        /// The peer's head came (of an answer: the final one).
        static var headReceived: Flags { Flags(rawValue: 0x4) }
        static var remoteEnded: Flags { Flags(rawValue: 0x8) }
        /// Our head went out (of an answer: the final one).
        static var headSent: Flags { Flags(rawValue: 0x10) }
        static var localEnded: Flags { Flags(rawValue: 0x20) }
        /// The request was HEAD: the answer's Content-Length is that of what is not sent.
        static var isHead: Flags { Flags(rawValue: 0x40) }
        static var wasReset: Flags { Flags(rawValue: 0x80) }
        /// Half of its window was given back: it may be worth a measurement.
        static var isLong: Flags { Flags(rawValue: 0x100) }
    }

    /// 0 for a request that was not sent yet.
    var id: UInt32 = 0
    var flags: Flags = []
    var priority = HTTP2Priority()
    /// What we may send. Below 0 after the peer shrank it (§6.9.2).
    var sendWindow = 0
    /// What the peer may send.
    var receiveWindow = 0
    /// Content that the owner was given and has not consumed.
    var held = 0
    /// Consumed, but not yet given back to the peer.
    var owed = 0
    /// The size that `receiveWindow`, `held` and `owed` add up to.
    var windowSize = 0
    /// Content that is to come by Content-Length; -1 when it was not said.
    var contentLeft = -1
    /// In the list of free slots; -1 at its end.
    var nextFree = -1
}

/// From a stream's number to its slot: open addressing over the few streams that are open.
struct HTTP2StreamIndex: Sendable {
    private struct Place: Sendable {
        /// 0 where it is free: no stream has that number.
        var id: UInt32 = 0
        var slot: Int32 = 0
    }

    private var places = [Place](repeating: Place(), count: 16)
    private var count = 0

    @inline(__always) func slot(of id: UInt32) -> Int? {
        var place = home(id)
        while places[place].id != 0 {
            if places[place].id == id { return Int(places[place].slot) }
            place = (place &+ 1) & (places.count &- 1)
        }
        return nil
    }

    mutating func insert(_ id: UInt32, slot: Int) {
        if count * 2 >= places.count { grow() }
        put(id, Int32(truncatingIfNeeded: slot))
        count &+= 1
    }

    mutating func remove(_ id: UInt32) {
        var place = home(id)
        while places[place].id != id {
            if places[place].id == 0 { return }
            place = (place &+ 1) & (places.count &- 1)
        }
        count &-= 1
        // Whoever was pushed on past the gap moves back into it.
        var gap = place
        while true {
            place = (place &+ 1) & (places.count &- 1)
            guard places[place].id != 0 else { break }
            let way = (place &- home(places[place].id)) & (places.count &- 1)
            if way >= (place &- gap) & (places.count &- 1) {
                places[gap] = places[place]
                gap = place
            }
        }
        places[gap] = Place()
    }

    /// Streams of one side have every second number: those that are open together are spread evenly.
    @inline(__always) private func home(_ id: UInt32) -> Int { Int(id &>> 1) & (places.count &- 1) }

    private mutating func put(_ id: UInt32, _ slot: Int32) {
        var place = home(id)
        while places[place].id != 0 { place = (place &+ 1) & (places.count &- 1) }
        places[place] = Place(id: id, slot: slot)
    }

    private mutating func grow() {
        let old = places
        places = [Place](repeating: Place(), count: old.count * 2)
        for place in old where place.id != 0 { put(place.id, place.slot) }
    }
}
