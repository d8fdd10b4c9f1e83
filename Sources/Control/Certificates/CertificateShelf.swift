import PoiseModel
import PoisePlatform
import PoiseTLS

/// The certificates of all listeners and groups, their ticket keys, and the contexts made of them.
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
    func adopt(_ preparation: ShelfPreparation) { (contents, contexts) = (preparation.contents, preparation.contexts) }
}

extension Configuration {
    /// Whether any listener or group speaks TLS.
    var usesTLS: Bool { listeners.contains { $0.tls != nil } || targetGroups.contains { $0.tls != nil } }
}
