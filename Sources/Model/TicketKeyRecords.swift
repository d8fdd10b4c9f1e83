/// The layout of a file of session ticket keys: records of one size, one behind the other. Only the file's length tells
/// which size that is.
public enum TicketKeyRecords {
    /// With AES-128, and with AES-256.
    public static let sizes = [48, 80]
    /// Records that a file may hold.
    public static let countMax = 16

    /// Bytes of each record in a file of `count` bytes; `nil` unless they are 1 to 16 whole records of one size, and of no
    /// other: five keys of 48 bytes are as long as three of 80, and must not be taken for them.
    public static func size(inFileOf count: Int) -> Int? {
        let fitting = fitting(count)
        return fitting.count == 1 ? fitting[0] : nil
    }

    /// What is wrong with a file of `count` bytes, and what to do about it; `nil` for one that has a ``size(inFileOf:)``.
    public static func fault(inFileOf count: Int) -> (problem: String, fix: String)? {
        let fitting = fitting(count)
        switch fitting.count {
        case 1: return nil
        case 0:
            return (
                "\(count) bytes are no ticket keys of 48 or 80 bytes each, \(countMax) of them at most",
                "make one: head -c 80 /dev/urandom > tickets.key"
            )
        default:
            let readings = fitting.map { "\(count / $0) ticket keys of \($0) bytes" }.joined(separator: " or ")
            return ("\(count) bytes can be \(readings)", "take the oldest key away, or put a new one in front")
        }
    }

    private static func fitting(_ count: Int) -> [Int] {
        sizes.filter { count > 0 && count % $0 == 0 && count / $0 <= countMax }
    }
}
