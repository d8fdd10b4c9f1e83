import PoiseBytes
import PoiseModel

/// Writes parsed lines again, each as `name: value CRLF`.
///
/// Nearly all lines stand so in the buffer already. What is kept of those is copied in one run from one dropped line to
/// the next: the bytes are the same.
extension FieldLines {
    /// Appends all lines but those that are dropped.
    ///
    /// - Parameters:
    ///   - bytes: what the head was parsed from.
    ///   - start: where the lines begin, or before that: the bytes between go out as they are.
    ///   - end: behind the last line, where the blank line begins.
    ///   - dropped: these stay behind, and all that are hop-by-hop.
    ///   - dropsTwins: underscore twins stay behind too.
    @inlinable
    public func copy<Sink: ByteSink & ~Copyable>(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, dropping dropped: FieldSet, dropsTwins: Bool,
        to sink: inout Sink
    ) {
        guard isPlain else {
            copyOneByOne(bytes, from: start, to: end, dropping: dropped, dropsTwins: dropsTwins, to: &sink)
            return
        }
        // A plain line is no twin: an underscore makes it another line for its reader.
        var runStart = start
        if !hasNone(of: dropped.union(.hopByHop)) {
            for index in 0..<count where storage[index].isHopByHop || dropped.contains(storage[index].id) {
                let line = storage[index]
                if line.name.start > runStart { sink.append(bytes.extracting(runStart..<line.name.start)) }
                runStart = line.value.end + 2
            }
        }
        if end > runStart { sink.append(bytes.extracting(runStart..<end)) }
    }

    @inlinable @inline(never)
    func copyOneByOne<Sink: ByteSink & ~Copyable>(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, dropping dropped: FieldSet, dropsTwins: Bool,
        to sink: inout Sink
    ) {
        let firstLine = isEmpty ? end : self[0].name.start
        if firstLine > start { sink.append(bytes.extracting(start..<firstLine)) }
        for line in self where !line.isHopByHop && !dropped.contains(line.id) {
            if dropsTwins, line.isUnderscoreTwin { continue }
            sink.append(bytes, line.name)
            sink.append(text: ": ")
            if !line.value.isEmpty { sink.append(bytes, line.value) }
            sink.append(text: "\r\n")
        }
    }
}

extension RequestHead {
    /// Where the field lines begin.
    @inlinable public var fieldsStart: Int {
        @inline(__always) get { fields.isEmpty ? headEnd - 2 : fields[0].name.start }
    }
    /// Behind the last field line, where the blank line begins.
    @inlinable public var fieldsEnd: Int { headEnd - 2 }
}

extension ResponseHead {
    /// Where the field lines begin.
    @inlinable public var fieldsStart: Int {
        @inline(__always) get { fields.isEmpty ? headEnd - 2 : fields[0].name.start }
    }
    /// Behind the last field line, where the blank line begins.
    @inlinable public var fieldsEnd: Int { headEnd - 2 }
}
