/// The fields of a message in the order sent, as text. For control's messages; a data plane uses ranges.
public struct HTTPFields: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public struct Line: Sendable, Equatable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    public var lines: [Line]

    public init(_ lines: [Line] = []) { self.lines = lines }
    public init(dictionaryLiteral elements: (String, String)...) { lines = elements.map { Line($0.0, $0.1) } }

    /// The value of the first field of this name, compared without case. Setting replaces all of them; nil removes.
    public subscript(name: String) -> String? {
        get {
            let wanted = name.lowercased()
            return lines.first { $0.name.lowercased() == wanted }?.value
        }
        set {
            let wanted = name.lowercased()
            lines.removeAll { $0.name.lowercased() == wanted }
            if let newValue { lines.append(Line(name, newValue)) }
        }
    }

    /// Whether every name is a token and no value holds a control byte: then nothing in it can end its line early.
    /// RFC 9110 §5.1, §5.5
    public var isWellFormed: Bool {
        lines.allSatisfy { line in
            !line.name.isEmpty
                && line.name.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                    }
                } && line.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
        }
    }
}
