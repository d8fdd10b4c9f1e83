import PoiseModel

/// Bytes in words: `64KiB` is 65,536, `64KB` (or `64kB`) is 64,000. Whole numbers with one unit.
enum SizeText {
    static func parse(_ text: String) throws(ConfigError) -> Int {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let unit = String(text.utf8.dropFirst(digits.count)) ?? ""
        guard !digits.isEmpty, let number = Int(String(digits) ?? "") else { throw refused(text) }
        guard !unit.isEmpty else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' has no unit", fix: "write \(text)B for bytes, or \(text)KiB")
        }
        guard let factor = units.first(where: { $0.name == unit })?.bytes else {
            if let meant = abbreviations[unit.lowercased()] {
                throw ConfigError(
                    code: .invalid, problem: "'\(unit)' is not a unit of size",
                    fix:
                        "write \(number)\(meant) (1,024 based) or \(number)\(meant.substituting("iB", with: "B")) (1,000 based)"
                )
            }
            throw refused(text)
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { throw refused(text) }
        return bytes
    }

    /// The largest 1,024-based unit that leaves no rest.
    static func format(_ bytes: Int) -> String {
        for unit in units where unit.name.hasSuffix("iB") && bytes != 0 && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\(bytes)B"
    }

    static let pattern = "^[0-9]+(B|[kKMGT]B|[KMGT]iB)$"

    private static func refused(_ text: String) -> ConfigError {
        ConfigError(
            code: .wrongType, problem: "'\(text)' is not a size",
            fix: "write a whole number with B, KiB, MiB, GiB, KB, MB or GB: 64KiB")
    }

    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("kB", 1_000), ("B", 1),
    ]
    private static let abbreviations = [
        "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "kib": "KiB", "mib": "MiB", "gib": "GiB", "tib": "TiB",
        "kb": "KiB", "mb": "MiB", "gb": "GiB", "tb": "TiB",
    ]
}
