/// Numbers with up to two decimals: `1.9` is 190.
enum Hundredths {
    /// - Returns: `nil` for anything but digits and one dot between them; up to six digits in front of it.
    static func parse(_ text: String) -> Int? {
        let parts = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = number(parts[0], digitsMax: 6) else { return nil }
        guard parts.count == 2 else { return whole * 100 }
        guard let decimals = number(parts[1], digitsMax: 2) else { return nil }
        return whole * 100 + (parts[1].count == 1 ? decimals * 10 : decimals)
    }

    static func format(_ number: Int) -> String {
        let decimals = number % 100
        guard decimals > 0 else { return "\(number / 100)" }
        return
            "\(number / 100).\(decimals % 10 == 0 ? "\(decimals / 10)" : decimals < 10 ? "0\(decimals)" : "\(decimals)")"
    }

    private static func number(_ digits: Substring.UTF8View, digitsMax: Int) -> Int? {
        guard (1...digitsMax).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
