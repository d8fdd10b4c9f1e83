/// What happens next: a binary heap by time, and of what happens at once the earlier entry first.
struct EventQueue<Event> {
    private struct Entry {
        var time: Int64
        var number: Int
        var event: Event
        func precedes(_ other: Entry) -> Bool { time < other.time || time == other.time && number < other.number }
    }
    private var heap: [Entry] = []
    private var numbered = 0

    /// - Parameter time: nanoseconds.
    mutating func insert(_ event: Event, at time: Int64) {
        heap.append(Entry(time: time, number: numbered, event: event))
        numbered += 1
        var child = heap.count - 1
        while child > 0, case let parent = (child - 1) / 2, heap[child].precedes(heap[parent]) {
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> (time: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].precedes(heap[least]) { least = child }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
