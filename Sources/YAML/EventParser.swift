import CYAML

/// One step through a YAML text, with copies of everything libyaml owns.
struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case alias(String)
        case scalar(String, isPlain: Bool)
        case sequenceStart, sequenceEnd
        case mappingStart(isFlow: Bool)
        case mappingEnd
    }
    var kind: Kind
    var anchor: String?
    var tag: String?
    var range: SourceRange
}

/// Owns one libyaml parser and the bytes it reads: never copied, freed exactly once.
///
/// The parser lies on the heap because libyaml keeps pointers to it.
@safe struct EventParser: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let file: Int

    /// - Returns: `nil` when libyaml has no memory.
    init?(_ text: SourceText, file: Int) {
        // SAFETY: fresh memory of the right size; libyaml fills it. Where it fails there is nothing to delete, and
        // `self` has no member yet, so that `deinit` does not run.
        let fresh = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        guard unsafe yaml_parser_initialize(fresh) == 1 else {
            unsafe fresh.deallocate()
            return nil
        }
        self.file = file
        unsafe parser = fresh
        // SAFETY: exactly `capacity` elements are copied into fresh memory.
        unsafe input = .allocate(capacity: text.bytes.count)
        _ = unsafe input.initialize(from: text.bytes)
        // SAFETY: `input` lives as long as the parser, which reads at most `count` bytes of it.
        unsafe yaml_parser_set_input_string(parser, input.baseAddress, input.count)
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    }

    deinit {
        // SAFETY: initialised once in `init`, deleted once here, not reachable afterwards.
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
        unsafe input.deallocate()
    }

    /// - Throws: what libyaml does not accept, or an event of a kind that does not exist.
    mutating func next() throws(ParserFailure) -> YAMLEvent {
        // SAFETY: `event` is plain memory that libyaml fills; it is deleted below on every path after success.
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure() }
        // SAFETY: filled by the call above.
        defer { unsafe yaml_event_delete(&event) }
        // SAFETY: `event` is initialised, and the union member read is the one its type names.
        return unsafe Self.copy(event, file: file)
    }

    /// What libyaml says, with its two marks.
    private func failure() -> ParserFailure {
        // SAFETY: the strings are static texts of libyaml, or nil.
        let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "out of memory"
        let context = unsafe parser.pointee.context.map { unsafe String(cString: $0) }
        let isReader = unsafe parser.pointee.error == YAML_READER_ERROR
        return ParserFailure(
            problem: problem, context: context,
            byteOffset: isReader ? unsafe Int(parser.pointee.problem_offset) : nil,
            position: unsafe Self.position(parser.pointee.problem_mark),
            contextPosition: context == nil ? nil : unsafe Self.position(parser.pointee.context_mark))
    }

    private static func position(_ mark: yaml_mark_t) -> SourcePosition {
        SourcePosition(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }

    @unsafe private static func copy(_ event: yaml_event_t, file: Int) -> YAMLEvent {
        let range = unsafe SourceRange(
            file: file, start: position(event.start_mark), end: position(event.end_mark))
        var copied = YAMLEvent(kind: .streamEnd, anchor: nil, tag: nil, range: range)
        switch unsafe event.type {
        case YAML_STREAM_START_EVENT: copied.kind = .streamStart
        case YAML_DOCUMENT_START_EVENT: copied.kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: copied.kind = .documentEnd
        case YAML_ALIAS_EVENT:
            copied.kind = unsafe .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            // SAFETY: libyaml gives `length` bytes at `value`.
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            copied.kind = unsafe .scalar(
                String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
            copied.anchor = unsafe text(scalar.anchor)
            copied.tag = unsafe text(scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            copied.kind = .sequenceStart
            copied.anchor = unsafe text(event.data.sequence_start.anchor)
            copied.tag = unsafe text(event.data.sequence_start.tag)
        case YAML_SEQUENCE_END_EVENT: copied.kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            copied.kind = unsafe .mappingStart(
                isFlow: event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE)
            copied.anchor = unsafe text(event.data.mapping_start.anchor)
            copied.tag = unsafe text(event.data.mapping_start.tag)
        case YAML_MAPPING_END_EVENT: copied.kind = .mappingEnd
        default: copied.kind = .streamEnd
        }
        return copied
    }

    @unsafe private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        // SAFETY: anchors and tags are NUL-terminated and live as long as their event.
        unsafe pointer.map { unsafe String(cString: $0) }
    }
}

/// What libyaml could not read.
struct ParserFailure: Error {
    var problem: String
    var context: String?
    /// Set instead of a position when the bytes themselves are bad.
    var byteOffset: Int?
    var position: SourcePosition
    var contextPosition: SourcePosition?
}
