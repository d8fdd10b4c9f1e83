import PoiseModel

// Rows whose texts become values of the Model.

extension Setting {
    /// A text that `parse` makes a value of, and `format` a text of again.
    static func parsed<Value>(
        _ keys: String..., at path: Path<Value>, form: String, attribute: String? = nil, _ summary: String,
        format: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) throws(ConfigError) -> Value
    ) -> Setting {
        Setting(
            keys: keys, type: .text(form: form), unset: nil, attribute: attribute, summary: summary,
            get: { .text(format($0[keyPath: path])) },
            set: { (root: inout Root, value: SettingValue?) throws(ConfigError) in
                if case .text(let text)? = value { root[keyPath: path] = try parse(text) }
            })
    }

    /// The same where there may be none.
    ///
    /// - Parameter unset: the word for that; `nil`: by leaving the key out.
    static func parsed<Value>(
        _ keys: String..., at path: Path<Value?>, form: String, unset: String?, attribute: String? = nil,
        _ summary: String, format: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) throws(ConfigError) -> Value
    ) -> Setting {
        Setting(
            keys: keys, type: .text(form: form), unset: unset, attribute: attribute, summary: summary,
            get: { $0[keyPath: path].map { .text(format($0)) } },
            set: { (root: inout Root, value: SettingValue?) throws(ConfigError) in
                guard case .text(let text)? = value else {
                    root[keyPath: path] = nil
                    return
                }
                root[keyPath: path] = try parse(text)
            })
    }

    /// An IP address without a port.
    ///
    /// - Parameter advice: what to write instead of something else.
    static func address(
        _ key: String, at path: Path<IPAddress?>, form: String, unset: String, advice: String, _ summary: String
    ) -> Setting {
        parsed(
            key, at: path, form: form, unset: unset, summary, format: \.description,
            parse: { (text) throws(ConfigError) in
                guard let address = IPAddress(text) else {
                    throw ConfigError(code: .invalid, problem: "'\(text)' is not an IP address", fix: advice)
                }
                return address
            })
    }

    /// `command`: a program and its arguments.
    static func command(at path: Path<[String]>, _ summary: String) -> Setting {
        Setting(
            keys: ["command"], type: .list(form: "a program's absolute path and its arguments"), unset: nil,
            attribute: nil, summary: summary, get: { .texts($0[keyPath: path]) },
            set: { (root: inout Root, value: SettingValue?) throws(ConfigError) in
                guard case .texts(let texts)? = value else { return }
                guard !texts.contains(where: { $0.utf8.contains(0) }) else {
                    throw ConfigError(code: .invalid, problem: "an argument has a NUL", fix: "remove it")
                }
                root[keyPath: path] = texts
            })
    }
}
