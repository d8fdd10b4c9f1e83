/// A growable array behind a `let`, for tables that are touched several times per request.
///
/// An array in a `var` of a class costs an exclusivity check (about 60 instructions) and a uniqueness check per
/// change; this costs a bounds check. Not copied, not shared: one owner, one thread.
///
/// SAFETY: `base` holds `capacity` slots of which the first `count` are initialised; every index is checked. The state
/// lies behind a pointer of its own, so that no access to it needs an exclusivity check either. What could call back is
/// the release of an element: it comes after the store that replaces it, and no element's `deinit` reaches its table.
@safe public final class RawTable<Element> {
    @usableFromInline let state: UnsafeMutablePointer<State>

    /// SAFETY: `base` is allocated here for `capacity` elements, and freed by the table.
    @safe @usableFromInline struct State {
        @usableFromInline var count = 0
        @usableFromInline var capacity: Int
        @usableFromInline var base: UnsafeMutablePointer<Element>

        init(capacity: Int) {
            self.capacity = capacity
            unsafe base = .allocate(capacity: capacity)
        }
    }

    public init(capacity: Int = 16) {
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State(capacity: capacity))
    }

    public convenience init(repeating element: Element, count: Int) {
        self.init(capacity: count)
        for _ in 0..<count { append(element) }
    }

    public convenience init(_ elements: some Collection<Element>) {
        self.init(capacity: max(1, elements.count))
        for element in elements { append(element) }
    }

    deinit {
        unsafe state.pointee.base.deinitialize(count: state.pointee.count)
        unsafe state.pointee.base.deallocate()
        unsafe state.deallocate()
    }

    @inlinable public var count: Int { unsafe state.pointee.count }
    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var indices: Range<Int> { 0..<count }

    @inlinable @inline(__always)
    public subscript(index: Int) -> Element {
        get {
            precondition(0 <= index && index < count)
            return unsafe state.pointee.base[index]
        }
        set {
            precondition(0 <= index && index < count)
            unsafe state.pointee.base[index] = newValue
        }
    }

    @inlinable @inline(__always)
    public func append(_ element: Element) {
        if unsafe state.pointee.count == state.pointee.capacity { grow() }
        unsafe (state.pointee.base + state.pointee.count).initialize(to: element)
        unsafe state.pointee.count += 1
    }

    @inlinable @inline(__always)
    public func popLast() -> Element? {
        guard count > 0 else { return nil }
        unsafe state.pointee.count -= 1
        return unsafe (state.pointee.base + state.pointee.count).move()
    }

    @usableFromInline func grow() {
        let (old, capacity) = unsafe (state.pointee.base, state.pointee.capacity)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: old, count: state.pointee.count)
        unsafe old.deallocate()
        unsafe state.pointee.base = larger
        unsafe state.pointee.capacity = capacity * 2
    }
}

@available(*, unavailable)
extension RawTable: Sendable {}
