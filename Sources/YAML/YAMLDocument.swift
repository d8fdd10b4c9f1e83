/// One YAML text as a tree of nodes with places.
///
/// What keeps the rest readable (a key twice, a tag) is collected, so that one look shows everything; what does
/// not (syntax, a bound) ends the reading, and `root` is `nil`.
public struct YAMLDocument: Sendable {
    /// `nil` for an empty text too.
    public let root: YAMLNode?
    public let problems: [YAMLProblem]

    /// - Parameter file: the caller's index of the file, put into every range.
    /// - Cost: linear in the text; aliases are shared and not copied.
    public init(parsing text: SourceText, file: Int = 0, limits: YAMLLimits = YAMLLimits()) {
        var builder = TreeBuilder(text: text, file: file, limits: limits)
        do throws(YAMLProblem) {
            root = try builder.document()
            problems = builder.problems
        } catch {
            root = nil
            problems = builder.problems + [error]
        }
    }
}
