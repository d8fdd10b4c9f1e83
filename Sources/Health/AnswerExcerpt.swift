/// The first bytes of what a target said, for people.
public enum AnswerExcerpt {
    /// Bytes that are kept of an answer.
    public static let bytesMax = 80

    /// In quotes, on one line, in ASCII: `'-NOAUTH Authentication required.\r\n'`.
    public static func quoted(_ bytes: some Sequence<UInt8>) -> String { "'\(escaped(bytes))'" }

    /// Without the quotes.
    public static func escaped(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case 0x0A: text += "\\n"
            case 0x0D: text += "\\r"
            case 0x09: text += "\\t"
            case 0x27, 0x5C: text += "\\\(Character(UnicodeScalar(byte)))"
            case 0x20...0x7E: text.unicodeScalars.append(UnicodeScalar(byte))
            default: text += byte < 16 ? "\\x0\(String(byte, radix: 16))" : "\\x\(String(byte, radix: 16))"
            }
        }
        return text
    }
}
