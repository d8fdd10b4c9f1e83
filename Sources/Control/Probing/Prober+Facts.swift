import PoiseTelemetry

extension Prober {
    /// For metrics.
    var facts: Overview.ProbeFacts {
        var facts = Overview.ProbeFacts()
        (facts.running, facts.places, facts.kept, facts.waiting) = (running, runningMax, kept, waiting)
        (facts.late, facts.delayMax) = (delays.late, delays.longest)
        return facts
    }
}
