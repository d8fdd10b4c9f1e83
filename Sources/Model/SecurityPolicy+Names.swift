extension SecurityPolicy {
    /// Every policy that a configuration may name.
    public static let all: [SecurityPolicy] = [.intermediate]

    /// In the order of ``all``.
    public static var allNames: [String] { all.map(\.name) }

    /// - Returns: `nil` where no policy has this name.
    public static func named(_ name: String) -> SecurityPolicy? { all.first { $0.name == name } }
}
