/// One line of an agent: what a target says about itself, in the words of HAProxy's `agent-check`.
///
///     75% up maxconn:30
///     drain
///     down # disk full
///
/// Words in any order, divided by spaces, tabs or commas; case does not matter; of several words of a kind the last one
/// counts. Behind `#` stands a description. Words that mean nothing are passed over, and the first of them is kept.
/// Source: HAProxy 2.6, configuration manual, `agent-check`.
public struct AgentReport: Sendable, Hashable {
    public enum Health: String, Sendable, CaseIterable { case up, down, fail, stopped }
    public enum Administration: String, Sendable, CaseIterable { case ready, drain, maint }

    public var health: Health?
    public var administration: Administration?
    /// Of the configured weight, 0...25,600: larger ones count as that.
    public var weightPercent: Int?
    /// 0: as configured.
    public var connectionsMax: Int?
    /// The words of figures beyond their bounds, as they came, printable, at most ``textBytesMax`` bytes; else `nil`.
    public var weightWord: String?
    public var connectionsWord: String?
    /// Behind `#`, printable, at most ``textBytesMax`` bytes; empty without one.
    public var remark = ""
    /// The first word that means nothing, printable, at most ``textBytesMax`` bytes.
    public var unknownWord: String?

    /// 256 times the configured weight: what the largest weight is to the smallest.
    public static let weightPercentMax = 25_600
    /// Larger figures count as this one.
    public static let connectionsMaxMax = 10_000_000
    public static let textBytesMax = 80

    public init() {}

    /// Whether it says anything.
    public var isEmpty: Bool {
        health == nil && administration == nil && weightPercent == nil && connectionsMax == nil
    }

    /// - Parameter line: without its end; any bytes. Read once from left to right.
    public init(parsing line: Span<UInt8>) {
        var start = 0
        while start < line.count {
            if Self.isDivider(line[start]) {
                start += 1
                continue
            }
            if line[start] == UInt8(ascii: "#") {
                remark = Self.printable(line.extracting(droppingFirst: start + 1))
                return
            }
            var end = start
            while end < line.count, !Self.isDivider(line[end]) { end += 1 }
            take(line.extracting(start..<end))
            start = end
        }
    }

    private mutating func take(_ word: Span<UInt8>) {
        if let health = Self.match(word, Health.allCases, \.rawValue) {
            self.health = health
        } else if let administration = Self.match(word, Administration.allCases, \.rawValue) {
            self.administration = administration
        } else if word[word.count - 1] == UInt8(ascii: "%"),
            let figure = Self.number(word.extracting(droppingLast: 1), atMost: Self.weightPercentMax)
        {
            (weightPercent, weightWord) = (figure.value, figure.isCut ? Self.printable(word) : nil)
        } else if let figure = Self.figure(word, behind: "maxconn:") {
            (connectionsMax, connectionsWord) = (figure.value, figure.isCut ? Self.printable(word) : nil)
        } else if unknownWord == nil {
            unknownWord = Self.printable(word)
        }
    }

    private static func isDivider(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: ",")
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    private static func begins(_ word: Span<UInt8>, with prefix: String) -> Bool {
        let prefix = prefix.utf8
        guard word.count >= prefix.count else { return false }
        for (index, byte) in prefix.enumerated() where lowercase(word[index]) != byte { return false }
        return true
    }

    private static func match<Word>(_ word: Span<UInt8>, _ all: [Word], _ text: (Word) -> String) -> Word? {
        all.first { word.count == text($0).utf8.count && begins(word, with: text($0)) }
    }

    private static func figure(_ word: Span<UInt8>, behind prefix: String) -> (value: Int, isCut: Bool)? {
        guard begins(word, with: prefix) else { return nil }
        return number(word.extracting(droppingFirst: prefix.utf8.count), atMost: connectionsMaxMax)
    }

    /// Digits alone; a larger number is cut to `limit`.
    private static func number(_ digits: Span<UInt8>, atMost limit: Int) -> (value: Int, isCut: Bool)? {
        guard !digits.isEmpty else { return nil }
        var (value, isCut) = (0, false)
        for index in digits.indices {
            guard (0x30...0x39).contains(digits[index]) else { return nil }
            value = value * 10 + Int(digits[index] - 0x30)
            if value > limit { (value, isCut) = (limit, true) }
        }
        return (value, isCut)
    }

    private static func printable(_ text: Span<UInt8>) -> String {
        var bytes: [UInt8] = []
        for index in text.indices {
            let byte = text[index]
            if bytes.isEmpty, byte == 0x20 || byte == 0x09 { continue }
            guard bytes.count < textBytesMax else { break }
            bytes.append((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension AgentReport {
    /// What was understood, as an agent would say it: `75% up maxconn:30`; of a figure beyond its bound also what it counts as.
    public var text: String {
        var words: [String] = []
        if let weightPercent {
            words.append(weightWord.map { "\($0) (taken as \(weightPercent)%)" } ?? "\(weightPercent)%")
        }
        if let health { words.append(health.rawValue) }
        if let administration { words.append(administration.rawValue) }
        if let connectionsMax {
            words.append(
                connectionsWord.map { "\($0) (taken as \(connectionsMax))" } ?? "maxconn:\(connectionsMax)")
        }
        if !remark.isEmpty { words.append("# \(remark)") }
        return words.joined(separator: " ")
    }
}
