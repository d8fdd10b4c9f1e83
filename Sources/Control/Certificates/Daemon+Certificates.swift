import PoiseConfig
import PoiseModel
import PoisePlatform
import PoiseTLS
import PoiseTelemetry

/// From certificate files to what the workers show.
extension Daemon {
    /// At the commit: what was prepared is in force, and told.
    func adopt(_ preparation: ShelfPreparation, for configuration: Configuration) {
        shelf.adopt(preparation)
        for news in preparation.news { log(OperationalEvent(news)) }
        tellExpiry(of: configuration)
    }

    /// Looks at all files that TLS settings name; a certificate that changed serves the next handshake.
    ///
    /// No connection is touched: sessions hold the context that they began with. Whatever cannot be used leaves what
    /// there is in force.
    func lookAtCertificates() async {
        if await shelf.hasChanged() { await renewCertificates() }
        if let configuration, !isStopping { tellExpiry(of: configuration) }
    }

    /// Begins to look at files and memory, which now is what a start needs.
    func watchCertificates() {
        _ = heap.isDue(resident: ProcessMemory.resident, connections: connectionCount)
        watcher.fired = { [unowned self] in
            ControlActor.shared.executor.start { [self] in await lookAndWait() }
        }
        watcher.set(loop.now + certificateInterval)
    }

    private func lookAndWait() async {
        await lookAtCertificates()
        await lookAtMemory()
        if !isStopping { watcher.set(loop.now + certificateInterval) }
    }

    /// The same configuration over other files means another snapshot.
    private func renewCertificates() async {
        await takeTurn()
        defer { giveTurn() }
        guard let configuration, let current = snapshot, !isStopping else { return }
        let preparation = await shelf.prepare(configuration, .watch)
        guard !isStopping else { return }
        for error in preparation.errors {
            log(
                OperationalEvent(.error, "certificates are kept", [("setting", error.path), ("reason", error.problem)]))
        }
        guard preparation.errors.isEmpty else { return }
        let compiled = await compile(
            configuration,
            by: SnapshotBuilder(
                live: live, addresses: names.addresses, contexts: preparation.contexts,
                tableWeights: engine.tableWeights))
        let builder = compiled.builder
        guard !isStopping, let snapshot = try? compiled.result.get() else { return }
        let isSame =
            snapshot.listeners.elementsEqual(current.listeners, by: ===)
            && snapshot.groups.elementsEqual(current.groups, by: ===)
        if !isSame { commit(snapshot, builder, ListenerPlan(from: bound, to: configuration), [:], configuration) }
        if !isSame { await workers.waitUntilAdopted() }
        // Told once it is true: the next handshake has the new certificate.
        adopt(preparation, for: configuration)
        withExtendedLifetime(current) {}
    }

    private func tellExpiry(of configuration: Configuration) {
        for event in expiry.due(shelf.shown(by: configuration), at: shelf.now) { log(event) }
    }
}

extension OperationalEvent {
    init(_ news: ShelfPreparation.News) {
        switch news {
        case .renewed(let file, let certificate):
            self.init(.info, "a certificate was renewed", [("file", file)] + Self.fields(of: certificate))
        case .fileRenewed(let file): self.init(.info, "a file of TLS settings was read again", [("file", file)])
        case .kept(let file, let problem):
            self.init(
                .error, "a file of TLS settings cannot be used: what it held before is kept",
                [("file", file), ("reason", problem)])
        case .selfSigned(let certificate):
            self.init(.info, "a self-signed certificate was made", Self.fields(of: certificate))
        }
    }

    /// What tells a certificate from another.
    static func fields(of certificate: Certificate) -> [(name: String, value: String)] {
        let shown = certificate.names.isEmpty ? "none" : certificate.names.prefix(4).joined(separator: ",")
        let more = certificate.names.count - 4
        return [
            ("names", more > 0 ? "\(shown) and \(more) more" : shown), ("key", "\(certificate.keyKind)"),
            ("fingerprint", certificate.fingerprint), ("expires", UTCText.day(certificate.notAfter)),
        ]
    }
}
