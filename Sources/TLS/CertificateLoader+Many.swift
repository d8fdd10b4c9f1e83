import PoisePlatform

extension CertificateLoader {
    /// Loads many at once, in `threads` threads beside the caller's own. In the order given.
    ///
    /// One certificate costs about a millisecond; one that `previous` holds costs its SHA-256.
    public static func load(
        _ inputs: [Input], now: Int64, reusing previous: CertificateStore? = nil, threads: Int
    ) -> [Output] {
        let results = Lock<[Output?]>(Array(repeating: nil, count: inputs.count))
        let next = Lock(0)
        /// Takes pieces until none is left.
        @Sendable func work() {
            while true {
                let start = next.withLock { place in
                    defer { place += 16 }
                    return place
                }
                guard start < inputs.count else { return }
                let range = start..<min(start + 16, inputs.count)
                let outputs = range.map { load(inputs[$0], now: now, reusing: previous) }
                results.withLock { for (index, output) in zip(range, outputs) { $0[index] = output } }
            }
        }
        // A thread that does not start is work for those that did.
        let helpers = (0..<min(threads, inputs.count / 16)).compactMap { number in
            try? Thread.start(name: "load-\(number)") { work() }
        }
        work()
        for helper in helpers { helper.join() }
        return results.withLock { $0.map { $0! } }
    }
}
