/// As much of JSON as the schema needs: keys keep their order.
indirect enum JSON {
    case object([(key: String, value: JSON)])
    case array([JSON])
    case string(String)
    case integer(Int)
    case boolean(Bool)

    /// Two spaces per level, one member per line.
    var text: String {
        var output = ""
        write(to: &output, indent: 0)
        return output + "\n"
    }

    private func write(to output: inout String, indent: Int) {
        let inner = "\n" + String(repeating: "  ", count: indent + 1)
        switch self {
        case .object(let members):
            guard !members.isEmpty else {
                output += "{}"
                return
            }
            output += "{"
            for (index, member) in members.enumerated() {
                output += (index == 0 ? "" : ",") + inner + Self.quoted(member.key) + ": "
                member.value.write(to: &output, indent: indent + 1)
            }
            output += "\n" + String(repeating: "  ", count: indent) + "}"
        case .array(let items):
            output += "["
            for (index, item) in items.enumerated() {
                output += index == 0 ? "" : ", "
                item.write(to: &output, indent: indent)
            }
            output += "]"
        case .string(let text): output += Self.quoted(text)
        case .integer(let number): output += "\(number)"
        case .boolean(let value): output += "\(value)"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
