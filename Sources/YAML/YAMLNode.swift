/// A part of a YAML document with its place in the file. Aliases are already replaced, `<<` already merged.
///
/// Values that came from an alias share their storage with the anchor and keep the anchor's place.
public struct YAMLNode: Sendable {
    public enum Content: Sendable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In written order; no key twice.
        case mapping([YAMLEntry])
    }

    public let content: Content
    public let range: SourceRange
    /// Nodes in this one, itself included, with every alias counted as often as it is used.
    let expandedCount: Int
    /// Levels below this one: 0 for a scalar.
    let height: Int

    init(scalar: YAMLScalar, range: SourceRange) {
        (content, self.range, expandedCount, height) = (.scalar(scalar), range, 1, 0)
    }

    init(sequence: [YAMLNode], range: SourceRange) {
        (content, self.range) = (.sequence(sequence), range)
        expandedCount = sequence.reduce(1) { $0 + $1.expandedCount }
        height = 1 + (sequence.map(\.height).max() ?? 0)
    }

    init(mapping: [YAMLEntry], range: SourceRange) {
        (content, self.range) = (.mapping(mapping), range)
        expandedCount = mapping.reduce(1) { $0 + 1 + $1.value.expandedCount }
        height = 1 + (mapping.map(\.value.height).max() ?? 0)
    }
}

public struct YAMLScalar: Sendable, Hashable {
    public let text: String
    /// Written without quotes and not as a block (`|`, `>`).
    public let isPlain: Bool
    /// Nothing, `~` or `null` without quotes: what YAML calls null.
    public var isNull: Bool { isPlain && (text.isEmpty || text == "~" || text == "null") }
}

/// One `key: value` of a mapping.
public struct YAMLEntry: Sendable {
    public let key: String
    public let keyRange: SourceRange
    public let value: YAMLNode
    /// Between `{` and `}`.
    public let isFlow: Bool
}
