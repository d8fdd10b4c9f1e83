import PoiseConfig
import PoiseModel

/// A configuration that somebody wants in force, and where it was written.
public struct Proposal: Sendable {
    public var configuration: Configuration
    public var origins: Origins
    /// As they are printed; empty without.
    public var warnings: String

    public init(_ loaded: LoadedConfiguration) {
        (configuration, origins, warnings) = (loaded.configuration, loaded.origins, loaded.warnings.render())
    }

    /// Of a configuration that no file wrote.
    public init(_ configuration: Configuration) {
        (self.configuration, origins, warnings) = (configuration, Origins(), "")
    }
}
