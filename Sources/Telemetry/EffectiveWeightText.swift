/// A weight in force as it is shown: in the units of the file, with as many decimals as it needs, at most two.
enum EffectiveWeightText {
    /// A configured weight of 1.
    private static var unit: Int { 256 }

    /// - Parameter weight: in 256ths, as it is everywhere at run time.
    static func number(_ weight: Int) -> Double { Double(weight) / Double(unit) }

    /// `3`, or `0.5/3` where another one is in force than configured.
    static func format(_ weight: Int, of configured: Int) -> String {
        let inForce = format(weight)
        return inForce == "\(configured)" ? inForce : "\(inForce)/\(configured)"
    }

    /// `3`, `0.25`; `<0.01` for what is not nothing.
    static func format(_ weight: Int) -> String {
        let hundredths = weight * 100 / unit
        if weight > 0, hundredths == 0 { return "<0.01" }
        let (whole, rest) = (hundredths / 100, hundredths % 100)
        guard rest > 0 else { return "\(whole)" }
        return rest % 10 == 0 ? "\(whole).\(rest / 10)" : "\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }
}
