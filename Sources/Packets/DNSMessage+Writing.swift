import PoiseModel

extension DNSMessage {
    /// As on the wire. Names of records are compressed where they, or their ends, were written before (RFC 1035 §4.1.4); those
    /// inside of data are not, which every reader understands.
    public var wire: [UInt8] {
        var writer = DNSWriter()
        writer.append(id)
        var flags = UInt16(operation & 15) << 11 | UInt16(responseCode & 15)
        if isAnswer { flags |= 0x8000 }
        if isAuthoritative { flags |= 0x0400 }
        if isTruncated { flags |= 0x0200 }
        if wantsRecursion { flags |= 0x0100 }
        if offersRecursion { flags |= 0x0080 }
        writer.append(flags)
        for count in [questions.count, answers.count, authorities.count, additionals.count] {
            writer.append(UInt16(count))
        }
        for question in questions {
            writer.append(question.name)
            writer.append(question.type)
            writer.append(question.dnsClass)
        }
        for record in answers + authorities + additionals { writer.append(record) }
        return writer.bytes
    }
}

private struct DNSWriter {
    var bytes: [UInt8] = []
    /// Where a name, or the end of one, begins: as far as pointers reach.
    private var places: [DNSName: Int] = [:]

    mutating func append(_ word: UInt16) { bytes += [UInt8(word >> 8), UInt8(word & 0xFF)] }

    mutating func append(_ word: UInt32) {
        append(UInt16(word >> 16))
        append(UInt16(word & 0xFFFF))
    }

    mutating func append(_ name: DNSName) {
        var rest = name.wire[...]
        while let length = rest.first, length > 0 {
            let name = DNSName(unchecked: Array(rest))
            if let place = places[name] { return append(UInt16(0xC000 | place)) }
            if bytes.count < 0x4000 { places[name] = bytes.count }
            bytes += rest.prefix(1 + Int(length))
            rest = rest.dropFirst(1 + Int(length))
        }
        bytes.append(0)
    }

    mutating func append(_ record: DNSMessage.Record) {
        append(record.name)
        append(record.type)
        append(record.dnsClass)
        append(record.timeToLive)
        let lengthAt = bytes.count
        append(UInt16(0))
        append(record.data)
        let length = bytes.count - lengthAt - 2
        bytes[lengthAt] = UInt8(length >> 8 & 0xFF)
        bytes[lengthAt + 1] = UInt8(length & 0xFF)
    }

    private mutating func append(_ data: DNSMessage.Data) {
        switch data {
        case .address(let address):
            var shift = address.family == .v4 ? 24 : 120
            while shift >= 0 {
                bytes.append(UInt8(truncatingIfNeeded: address.bits >> UInt128(shift)))
                shift -= 8
            }
        case .name(let name): bytes += name.wire
        case .exchange(let preference, let name):
            append(preference)
            bytes += name.wire
        case .service(let priority, let weight, let port, let name):
            for number in [priority, weight, port] { append(number) }
            bytes += name.wire
        case .authority(let server, let mailbox, let numbers):
            bytes += server.wire + mailbox.wire
            for number in numbers { append(number) }
        case .other(let other): bytes += other
        }
    }
}
