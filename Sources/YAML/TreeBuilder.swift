/// Turns events into nodes: anchors, merges, bounds.
struct TreeBuilder {
    private(set) var problems: [YAMLProblem] = []
    private let text: SourceText
    private let file: Int
    private let limits: YAMLLimits
    private var anchors: [String: YAMLNode] = [:]
    /// Nodes so far, aliases expanded.
    private var nodeCount = 0

    init(text: SourceText, file: Int, limits: YAMLLimits) {
        (self.text, self.file, self.limits) = (text, file, limits)
    }

    /// - Returns: `nil` for a text without a node.
    /// - Throws: the problem that ends the reading.
    mutating func document() throws(YAMLProblem) -> YAMLNode? {
        let start = SourceRange(
            file: file, start: SourcePosition(line: 1, column: 1), end: SourcePosition(line: 1, column: 2))
        guard text.bytes.count <= limits.bytesMax else {
            throw YAMLProblem(
                .tooLarge, start, "the file has \(text.bytes.count) bytes, the limit is \(limits.bytesMax)",
                fix: "split it with 'include'")
        }
        guard !text.bytes.starts(with: [0xFF, 0xFE]), !text.bytes.starts(with: [0xFE, 0xFF]) else {
            throw YAMLProblem(.syntax, start, "the file is UTF-16", fix: "save it as UTF-8")
        }
        guard var parser = EventParser(text, file: file) else {
            throw YAMLProblem(.tooLarge, start, "there is no memory to read the file", fix: "free some memory")
        }
        var root: YAMLNode?
        var documents = 0
        while true {
            let event = try next(&parser)
            switch event.kind {
            case .streamEnd: return root
            case .documentStart:
                documents += 1
                guard documents == 1 else {
                    throw YAMLProblem(
                        .unsupported, event.range, "a second document starts here",
                        fix: "keep one document per file; join files with 'include'")
                }
            case .streamStart, .documentEnd: break
            case .alias, .scalar, .sequenceStart, .sequenceEnd, .mappingStart, .mappingEnd:
                root = try node(event, &parser, depth: 1)
            }
        }
    }

    private mutating func next(_ parser: inout EventParser) throws(YAMLProblem) -> YAMLEvent {
        do throws(ParserFailure) {
            return try parser.next()
        } catch {
            throw SyntaxAdvice(text: text, file: file).problem(for: error)
        }
    }

    private mutating func node(
        _ event: YAMLEvent, _ parser: inout EventParser, depth: Int
    ) throws(YAMLProblem) -> YAMLNode {
        try count(1, at: event.range)
        if let tag = event.tag {
            problems.append(
                YAMLProblem(
                    .unsupported, event.range, "the tag \(tag) is not used here",
                    fix: "remove the tag; if it is part of the text, put the text in quotes"))
        }
        let built: YAMLNode
        switch event.kind {
        case .alias(let name):
            guard let target = anchors[name] else {
                throw SyntaxAdvice(text: text, file: file).unknownAlias(
                    name, at: event.range, known: anchors.keys.sorted())
            }
            try count(target.expandedCount - 1, at: event.range)
            try checkDepth(depth + target.height - 1, at: event.range)
            return target
        case .scalar(let text, let isPlain):
            built = YAMLNode(scalar: YAMLScalar(text: text, isPlain: isPlain), range: event.range)
        case .sequenceStart:
            try checkDepth(depth, at: event.range)
            built = try sequence(from: event, &parser, depth: depth)
        case .mappingStart(let isFlow):
            try checkDepth(depth, at: event.range)
            built = try mapping(from: event, &parser, depth: depth, isFlow: isFlow)
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw YAMLProblem(.syntax, event.range, "a value is missing here", fix: "write a value")
        }
        if let anchor = event.anchor { anchors[anchor] = built }
        return built
    }

    private mutating func sequence(
        from start: YAMLEvent, _ parser: inout EventParser, depth: Int
    ) throws(YAMLProblem) -> YAMLNode {
        var items: [YAMLNode] = []
        while true {
            let event = try next(&parser)
            if case .sequenceEnd = event.kind {
                return YAMLNode(sequence: items, range: Self.range(start, to: event, lastPart: items.last?.range))
            }
            items.append(try node(event, &parser, depth: depth + 1))
        }
    }

    private mutating func mapping(
        from start: YAMLEvent, _ parser: inout EventParser, depth: Int, isFlow: Bool
    ) throws(YAMLProblem) -> YAMLNode {
        var entries: [YAMLEntry] = []
        var merges: [(index: Int, range: SourceRange, node: YAMLNode)] = []
        var seen: [String: SourceRange] = [:]
        while true {
            let event = try next(&parser)
            if case .mappingEnd = event.kind {
                let range = Self.range(start, to: event, lastPart: entries.last?.value.range)
                return YAMLNode(mapping: try merged(entries, merges, seen), range: range)
            }
            let key = try node(event, &parser, depth: depth + 1)
            let value = try node(try next(&parser), &parser, depth: depth + 1)
            guard case .scalar(let name) = key.content else {
                problems.append(
                    YAMLProblem(
                        .unsupported, key.range, "a key must be a plain text, not a list or a mapping",
                        fix: "write 'key: value'; if the brackets or braces belong to a text, put it in quotes"))
                continue
            }
            if name.isPlain, name.text == "<<" {
                merges.append((entries.count, key.range, value))
                continue
            }
            if let first = seen[name.text] {
                problems.append(
                    YAMLProblem(
                        .duplicate, key.range, "the key '\(name.text)' is written twice", fix: "keep one of the two",
                        first: first))
                continue
            }
            seen[name.text] = key.range
            entries.append(YAMLEntry(key: name.text, keyRange: key.range, value: value, isFlow: isFlow))
        }
    }

    /// `<<` puts in the entries of one mapping or of several, where the mapping itself does not have the key.
    private mutating func merged(
        _ entries: [YAMLEntry], _ merges: [(index: Int, range: SourceRange, node: YAMLNode)],
        _ written: [String: SourceRange]
    ) throws(YAMLProblem) -> [YAMLEntry] {
        guard !merges.isEmpty else { return entries }
        var result: [YAMLEntry] = []
        var known = Set(written.keys)
        var taken = 0
        for merge in merges {
            result += entries[taken..<merge.index]
            taken = merge.index
            let sources: [YAMLNode]
            if case .sequence(let items) = merge.node.content { sources = items } else { sources = [merge.node] }
            for source in sources {
                guard case .mapping(let inherited) = source.content else {
                    problems.append(
                        YAMLProblem(
                            .unsupported, merge.range, "'<<' takes a mapping, or a list of mappings",
                            fix: "write '<<: *name' where '&name' stands before a mapping"))
                    continue
                }
                for entry in inherited where known.insert(entry.key).inserted {
                    try count(1 + entry.value.expandedCount, at: merge.range)
                    result.append(entry)
                }
            }
        }
        return result + entries[taken...]
    }

    private mutating func count(_ nodes: Int, at range: SourceRange) throws(YAMLProblem) {
        nodeCount += nodes
        guard nodeCount <= limits.nodesMax else {
            throw YAMLProblem(
                .tooLarge, range, "the document has more than \(limits.nodesMax) nodes once its aliases are expanded",
                fix: "use fewer aliases, or split the file with 'include'")
        }
    }

    private func checkDepth(_ depth: Int, at range: SourceRange) throws(YAMLProblem) {
        guard depth <= limits.depthMax else {
            throw YAMLProblem(
                .tooLarge, range, "lists and mappings are nested deeper than \(limits.depthMax) levels",
                fix: "remove levels")
        }
    }

    /// A flow collection ends at its bracket. A block ends where its last part does: libyaml's own mark lies at the
    /// next token, often some lines further down.
    private static func range(_ start: YAMLEvent, to end: YAMLEvent, lastPart: SourceRange?) -> SourceRange {
        let isBracket = end.range.start != end.range.end
        let last = isBracket ? end.range.end : lastPart?.end ?? start.range.end
        return SourceRange(file: Int(start.range.file), start: start.range.start, end: max(last, start.range.start))
    }
}
