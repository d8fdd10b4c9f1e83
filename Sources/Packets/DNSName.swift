/// A domain name: labels of 1 to 63 bytes, together with their lengths at most 255. Equal without case (RFC 4343).
public struct DNSName: Sendable, Hashable, CustomStringConvertible {
    /// As on the wire, RFC 1035 §3.1: each label behind its length, the empty one last.
    public let wire: [UInt8]

    public static let root = DNSName(unchecked: [0])
    static let bytesMax = 255
    static let labelBytesMax = 63

    init(unchecked wire: [UInt8]) { self.wire = wire }

    /// `www.shop.test`, with or without a dot at the end; `.` is the root. Without escapes: a dot parts labels.
    ///
    /// - Returns: `nil` where a label is empty or too long, or the name is.
    public init?(_ text: String) {
        guard text != "." else {
            self = .root
            return
        }
        var labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if labels.last?.isEmpty == true { labels.removeLast() }
        var wire: [UInt8] = []
        for label in labels {
            guard (1...Self.labelBytesMax).contains(label.count) else { return nil }
            wire.append(UInt8(label.count))
            wire += label
        }
        guard !labels.isEmpty, wire.count < Self.bytesMax else { return nil }
        self.init(unchecked: wire + [0])
    }

    /// As RFC 1035 §5.1 writes it, without the last dot; the root is a dot.
    public var description: String {
        var text = ""
        var position = 0
        while wire[position] != 0 {
            let end = position + 1 + Int(wire[position])
            if !text.isEmpty { text += "." }
            for byte in wire[position + 1..<end] {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"): text += "\\\(Character(UnicodeScalar(byte)))"
                case 0x21...0x7E: text.unicodeScalars.append(UnicodeScalar(byte))
                default: text += "\\" + String(repeating: "0", count: byte < 10 ? 2 : byte < 100 ? 1 : 0) + "\(byte)"
                }
            }
            position = end
        }
        return text.isEmpty ? "." : text
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.wire.count == b.wire.count && zip(a.wire, b.wire).allSatisfy { folded($0) == folded($1) }
    }

    public func hash(into hasher: inout Hasher) { for byte in wire { hasher.combine(Self.folded(byte)) } }

    /// Lengths are below 64 and no letters.
    private static func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}
