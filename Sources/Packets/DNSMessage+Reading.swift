import PoiseModel

extension DNSMessage {
    /// Why bytes are no message.
    public enum Refusal: Error, Sendable, Equatable, CaseIterable {
        /// It ends in the middle of something.
        case cut
        /// A label of a kind that is not defined, or a name that is too long.
        case badName
        /// A pointer that does not go back, so that it could go round for ever; or more pointers than a name has labels.
        case badPointer
        /// A record's data are longer or shorter than its type has them.
        case badData
        /// Bytes behind the last record.
        case trailingBytes

        public var name: String {
            switch self {
            case .cut: "it is cut off"
            case .badName: "a name is malformed"
            case .badPointer: "a compression pointer does not point back, or only to others"
            case .badData: "the data of a record are malformed"
            case .trailingBytes: "bytes follow the last record"
            }
        }
    }

    /// Reads a whole message, at most 65,535 bytes. Cost: linear in its size, but for names, which are at most 255 bytes and
    /// ``pointersMax`` pointers each.
    public init(parsing bytes: Span<UInt8>) throws(Refusal) {
        var position = 0
        self.init(id: try Self.word(bytes, &position))
        let flags = try Self.word(bytes, &position)
        isAnswer = flags & 0x8000 != 0
        operation = UInt8(flags >> 11 & 15)
        isAuthoritative = flags & 0x0400 != 0
        isTruncated = flags & 0x0200 != 0
        wantsRecursion = flags & 0x0100 != 0
        offersRecursion = flags & 0x0080 != 0
        responseCode = UInt8(flags & 15)
        var counts: [Int] = []
        for _ in 0..<4 { counts.append(Int(try Self.word(bytes, &position))) }
        for _ in 0..<counts[0] {
            var question = Question(try Self.name(bytes, &position), type: try Self.word(bytes, &position))
            question.dnsClass = try Self.word(bytes, &position)
            questions.append(question)
        }
        answers = try Self.records(counts[1], bytes, &position)
        authorities = try Self.records(counts[2], bytes, &position)
        additionals = try Self.records(counts[3], bytes, &position)
        guard position == bytes.count else { throw .trailingBytes }
    }

    /// The id of a message, before anything else of it is looked at.
    public static func id(of bytes: Span<UInt8>) -> UInt16? {
        bytes.count >= 2 ? UInt16(bytes[0]) << 8 | UInt16(bytes[1]) : nil
    }

    // MARK: Parts

    private static func records(
        _ count: Int, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(Refusal) -> [Record] {
        // Not reserved: the count is the sender's word.
        var records: [Record] = []
        for _ in 0..<count { records.append(try record(bytes, &position)) }
        return records
    }

    private static func record(_ bytes: Span<UInt8>, _ position: inout Int) throws(Refusal) -> Record {
        let name = try name(bytes, &position)
        let type = try word(bytes, &position)
        let dnsClass = try word(bytes, &position)
        let timeToLive = try longWord(bytes, &position)
        let length = Int(try word(bytes, &position))
        guard position + length <= bytes.count else { throw .cut }
        let end = position + length
        let data =
            dnsClass == 1
            ? try data(type, bytes, position, end) : .other(copy(bytes, position, end))
        position = end
        var record = Record(name, type: type, timeToLive: timeToLive, data)
        record.dnsClass = dnsClass
        return record
    }

    private static func data(
        _ type: UInt16, _ bytes: Span<UInt8>, _ start: Int, _ end: Int
    ) throws(Refusal) -> Data {
        var position = start
        let data: Data
        // A name in it may point anywhere before, but what it takes itself ends with the record.
        let whole = bytes.extracting(first: end)
        do throws(Refusal) {
            switch type {
            case TypeNumber.a: data = .address(IPAddress(v4: try longWord(whole, &position)))
            case TypeNumber.aaaa:
                var bits: UInt128 = 0
                for _ in 0..<4 { bits = bits << 32 | UInt128(try longWord(whole, &position)) }
                data = .address(IPAddress(v6: bits))
            case TypeNumber.ns, TypeNumber.cname, TypeNumber.ptr: data = .name(try name(whole, &position))
            case TypeNumber.mx: data = .exchange(try word(whole, &position), try name(whole, &position))
            case TypeNumber.srv:
                data = .service(
                    priority: try word(whole, &position), weight: try word(whole, &position),
                    port: try word(whole, &position), try name(whole, &position))
            case TypeNumber.soa:
                let (server, mailbox) = (try name(whole, &position), try name(whole, &position))
                var numbers: [UInt32] = []
                for _ in 0..<5 { numbers.append(try longWord(whole, &position)) }
                data = .authority(server, mailbox, numbers)
            default: return .other(copy(bytes, start, end))
            }
        } catch {
            throw error == .cut ? .badData : error
        }
        guard position == end else { throw .badData }
        return data
    }

    /// As many as a name has labels at most. Pointers that lead to pointers only would cost thousands of steps for each of
    /// thousands of records.
    static let pointersMax = 127

    /// RFC 1035 §4.1.4. A pointer goes to an earlier place than the part of the name that it ends, so that there is no circle.
    private static func name(_ bytes: Span<UInt8>, _ position: inout Int) throws(Refusal) -> DNSName {
        var wire: [UInt8] = []
        var place = position
        var partStart = place
        var pointers = 0
        while true {
            guard place < bytes.count else { throw .cut }
            let length = Int(bytes[place])
            switch length >> 6 {
            case 0:
                guard place + 1 + length <= bytes.count else { throw .cut }
                guard wire.count + 1 + length < DNSName.bytesMax || length == 0 else { throw .badName }
                for index in place...place + length { wire.append(bytes[index]) }
                place += 1 + length
                if length == 0 {
                    if pointers == 0 { position = place }
                    return DNSName(unchecked: wire)
                }
            case 3:
                guard place + 1 < bytes.count else { throw .cut }
                let goal = (length & 63) << 8 | Int(bytes[place + 1])
                if pointers == 0 { position = place + 2 }
                guard goal < partStart, pointers < pointersMax else { throw .badPointer }
                (place, partStart, pointers) = (goal, goal, pointers + 1)
            default: throw .badName
            }
        }
    }

    private static func word(_ bytes: Span<UInt8>, _ position: inout Int) throws(Refusal) -> UInt16 {
        guard position + 2 <= bytes.count else { throw .cut }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    private static func longWord(_ bytes: Span<UInt8>, _ position: inout Int) throws(Refusal) -> UInt32 {
        UInt32(try word(bytes, &position)) << 16 | UInt32(try word(bytes, &position))
    }

    private static func copy(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(end - start)
        for index in start..<end { copy.append(bytes[index]) }
        return copy
    }
}
