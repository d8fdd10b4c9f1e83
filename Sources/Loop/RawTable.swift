/// A growable array behind a `let`, for the tables that a loop touches several times per wake-up.
///
/// An array in a `var` of a class costs an exclusivity check (about 60 instructions) and a uniqueness check per
/// change; this costs a bounds check. Not copied, not shared: one owner, one thread.
///
/// SAFETY: `base` holds `capacity` slots of which the first `count` are initialised; every index is checked.
@safe final class RawTable<Element> {
    private(set) var count = 0
    private var capacity: Int
    private var base: UnsafeMutablePointer<Element>

    init(capacity: Int = 16) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
    }

    convenience init(repeating element: Element, count: Int) {
        self.init(capacity: count)
        for _ in 0..<count { append(element) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    @inline(__always)
    subscript(index: Int) -> Element {
        get {
            precondition(0 <= index && index < count)
            return unsafe base[index]
        }
        set {
            precondition(0 <= index && index < count)
            unsafe base[index] = newValue
        }
    }

    @inline(__always)
    func append(_ element: Element) {
        if count == capacity { grow() }
        unsafe (base + count).initialize(to: element)
        count += 1
    }

    @inline(__always)
    func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return unsafe (base + count).move()
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = larger
        capacity *= 2
    }
}
