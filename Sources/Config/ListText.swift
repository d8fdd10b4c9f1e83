import PoiseModel

/// Lists of things of which each counts once.
enum ListText {
    /// - Throws: what `parse` throws, and for a thing that is there already, with the path `[index]`.
    static func distinct<Value: Equatable>(
        _ texts: [String], _ parse: (String) throws(ConfigError) -> Value
    ) throws(ConfigError) -> [Value] {
        var values: [Value] = []
        for (index, text) in texts.enumerated() {
            do throws(ConfigError) {
                let value = try parse(text)
                guard !values.contains(value) else {
                    throw ConfigError(
                        code: .duplicate, problem: "'\(text)' is in this list twice", fix: "list it once")
                }
                values.append(value)
            } catch {
                throw error.under("[\(index)]")
            }
        }
        return values
    }
}
