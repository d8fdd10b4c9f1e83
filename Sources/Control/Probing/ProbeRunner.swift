/// Makes the probes of one check, one after another. The ``Prober`` has one per check and tells it what to do.
protocol ProbeRunner: AnyObject {
    /// Waits for the next start, then says ``Prober/due(_:)``.
    func schedule()
    /// The next start is earlier than it was. Means nothing to a probe under way.
    func hurry()
    /// No more probes; one that is under way is dropped.
    func stop()
    /// Starts one probe; it may be over when this returns. Every one ends with ``Prober/left()``.
    func run()
    /// It is due, and waits for a place among the probes under way.
    func enqueue()
    /// It was enqueued, and neither run nor stopped since.
    var isWaitingForPlace: Bool { get }
}
