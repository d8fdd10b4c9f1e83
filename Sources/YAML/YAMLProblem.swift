/// Why a text is not a document that Poise reads: where, what, and how to fix it.
public struct YAMLProblem: Error, Sendable, Hashable {
    public enum Code: Sendable { case syntax, duplicate, unsupported, tooLarge }

    public var code: Code
    public var range: SourceRange
    public var problem: String
    public var fix: String
    /// Where the first of two equal keys is.
    public var first: SourceRange?

    init(_ code: Code, _ range: SourceRange, _ problem: String, fix: String, first: SourceRange? = nil) {
        (self.code, self.range, self.problem, self.fix, self.first) = (code, range, problem, fix, first)
    }
}

/// Bounds of what is read. A document beyond one of them is refused.
public struct YAMLLimits: Sendable {
    /// Bytes of one document.
    public var bytesMax = 16 * 1024 * 1024
    /// Collections inside each other, aliases expanded.
    public var depthMax = 64
    /// Nodes and keys, aliases expanded.
    public var nodesMax = 1_000_000

    public init() {}
}
