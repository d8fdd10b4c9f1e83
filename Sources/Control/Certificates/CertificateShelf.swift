import PoiseModel
import PoisePlatform
import PoiseTLS
import PoiseTelemetry

/// The certificates of all listeners and groups, their ticket keys, the authorities of targets and webhooks, and the contexts
/// that are made of what listeners and groups have.
///
/// Everything that reads files or makes contexts happens on helper threads: 5,000 certificates take a second of all
/// cores. What has not changed is the same object afterwards, so that an unchanged listener stays unchanged.
final class CertificateShelf {
    private(set) var contents = ShelfContents()
    /// In force.
    private(set) var contexts = TLSContexts()
    private let wall: @Sendable () -> Int64

    /// - Parameter wall: nanoseconds since 1970.
    init(wall: @escaping @Sendable () -> Int64 = { Clock.wall }) { self.wall = wall }

    /// Seconds since 1970.
    var now: Int64 { wall() / 1_000_000_000 }

    /// Reads and makes what `configuration` needs and the shelf does not have. Nothing is in force by that.
    func prepare(_ configuration: Configuration, _ mode: ShelfMode) async -> ShelfPreparation {
        let (contents, now) = (contents, wall())
        guard configuration.usesTLS else {
            return ShelfPreparation(configuration, from: contents, mode: mode, now: now)
        }
        return await HelperThread.run("certificates") {
            ShelfPreparation(configuration, from: contents, mode: mode, now: now)
        }
    }

    /// Puts it into force. No other preparation may have been put into force since it was made.
    func adopt(_ preparation: ShelfPreparation) {
        (contents, contexts) = (preparation.contents, preparation.contexts)
    }

    /// What a file of authorities held when it was read last; `nil` for one that no configuration in force names.
    func authorities(of file: String) -> [UInt8]? { contents.authorities[file]?.value }

    /// Whether some file is another one than when it was looked at last, or our own certificate is to be made anew.
    func hasChanged() async -> Bool {
        guard !contents.isEmpty else { return false }
        let (contents, now) = (contents, now)
        return await HelperThread.run("certificates") { contents.hasChanged(at: now) }
    }

    /// Every certificate in force, and who shows it.
    func shown(by configuration: Configuration) -> [ExpiryWatch.Shown] {
        var shown: [ExpiryWatch.Shown] = []
        func add(_ owner: (String, String), _ files: CertificateFiles) {
            guard let certificate = contents.certificate(of: files) else { return }
            shown.append(ExpiryWatch.Shown(owner: owner, files: files, certificate: certificate))
        }
        for listener in configuration.listeners {
            for files in listener.tls?.certificates ?? [] { add(("listener", listener.displayName), files) }
        }
        for group in configuration.targetGroups {
            if let files = group.tls?.certificate { add(("target_group", group.displayName), files) }
        }
        return shown
    }

    /// What metrics and status tell of a listener's certificates.
    func facts(of listener: Listener) -> [Overview.CertificateFacts] {
        (listener.tls?.certificates ?? []).compactMap { files in
            contents.certificate(of: files).map {
                Overview.CertificateFacts(
                    file: files.isSelfSigned ? "self-signed" : files.certificate, notAfter: $0.notAfter,
                    problem: contents.certificates[files]?.problem)
            }
        }
    }
}

extension ShelfContents {
    var isEmpty: Bool { certificates.isEmpty && authorities.isEmpty && ticketKeys.isEmpty && selfSigned == nil }

    /// Blocks: one stat(2) per file.
    ///
    /// - Parameter now: seconds since 1970.
    func hasChanged(at now: Int64) -> Bool {
        func isOther<Value>(_ item: ShelfItem<Value>, _ files: [String]) -> Bool {
            !item.isCurrent(files.map { FileStamp(of: $0) })
        }
        return selfSigned.map { SelfSigned.isOld($0, at: now) } ?? false
            || certificates.contains { isOther($0.value, $0.key.all) }
            || authorities.contains { isOther($0.value, [$0.key]) }
            || ticketKeys.contains { isOther($0.value, [$0.key]) }
    }
}

extension Configuration {
    /// Whether any listener or group speaks TLS, or a hook with authorities of its own.
    fileprivate var usesTLS: Bool {
        listeners.contains { $0.tls != nil } || targetGroups.contains { $0.tls != nil }
            || notify.contains { $0.caFile != nil }
    }

    /// Absolute paths of all files that TLS settings name, each once.
    public var tlsFiles: [String] {
        let certificates =
            listeners.flatMap { $0.tls?.certificates ?? [] } + targetGroups.compactMap { $0.tls?.certificate }
        let others =
            listeners.compactMap { $0.tls?.ticketKeyFile } + targetGroups.compactMap { $0.tls?.authorityFile }
            + notify.compactMap(\.caFile)
        return Set(certificates.filter { !$0.isSelfSigned }.flatMap(\.all) + others).sorted()
    }
}
