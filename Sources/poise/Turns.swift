/// So many at a time; the others wait in the order in which they came.
struct Turns {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// Those before it have had their turn.
    private var next = 0

    /// - Parameter count: at a time; `nil`: no limit.
    init(_ count: Int?) { free = count ?? .max }

    /// - Returns: false where one must ``wait(_:)``.
    mutating func take() -> Bool {
        guard free > 0 else { return false }
        free -= 1
        return true
    }

    /// Resumed with a turn in hand.
    mutating func wait(_ continuation: CheckedContinuation<Void, Never>) { waiting.append(continuation) }

    mutating func giveBack() {
        guard next < waiting.count else { return free += 1 }
        waiting[next].resume()
        next += 1
        guard next * 2 > waiting.count else { return }
        waiting.removeFirst(next)
        next = 0
    }
}
