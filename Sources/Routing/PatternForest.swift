/// Many sets of patterns, each as two byte tries over the patterns' literal ends, in five flat arrays.
///
/// Every pattern is filed under the longer of its two literal ends: `/api/*` under its head in the forward trie,
/// `*.shop.test` and `*.php` under their tails in the backward trie, where texts are read from their last byte. One
/// descent through each trie therefore visits all patterns that can match a text, and of the others none: exact
/// names, prefixes and suffixes cost the length of the text, however many there are. Only patterns without a literal
/// end (`*login*`) sit at the root and are tried one by one.
///
/// Compared with a hash table per shape this is one structure instead of four, it needs no hash of request bytes,
/// and a general glob gets the benefit of its literal end.
///
/// Invariants:
/// 1. A node's children lie side by side, in the order of their first bytes, behind their parent.
/// 2. Only a root has an empty label.
/// 3. Postings of a node are in ascending order of value; `lowest` is the lowest value in the node's subtree.
struct PatternForest: Sendable {
    /// One pattern of a set on its way in.
    struct Entry {
        var pattern: GlobPattern
        /// What a match means to the owner.
        var value: UInt32
    }

    /// The two roots of a set; -1 where it has no pattern of that direction.
    struct Tree: Sendable {
        var forward: Int32
        var backward: Int32
    }

    /// A pattern at the node that spells its literal end.
    struct Posting: Sendable {
        var value: UInt32
        /// The rest of the pattern, in `texts`. Empty: the literal end has decided.
        var restStart: UInt32
        var restCount: UInt32
        /// The shortest text that can match.
        var countMin: UInt32
    }

    struct Node: Sendable {
        var labelStart: UInt32 = 0
        var labelCount: UInt32 = 0
        var childStart: UInt32 = 0
        var childCount: UInt32 = 0
        /// Patterns that go on after their literal end: `throughStart ..< endStart`.
        var throughStart: UInt32 = 0
        /// Patterns that are their literal end, so that the text must stop here: `endStart ..< postingsEnd`.
        var endStart: UInt32 = 0
        var postingsEnd: UInt32 = 0
        var lowest: UInt32 = .max
    }

    private(set) var nodes: [Node] = []
    /// The first byte of each node's label: children are searched here.
    private(set) var firstBytes: [UInt8] = []
    private(set) var postings: [Posting] = []
    /// Labels.
    private(set) var labels: [UInt8] = []
    /// Rests of patterns.
    private(set) var texts: [UInt8] = []

    /// Adds a set of patterns.
    ///
    /// - Parameter isDecisive: whether a match of this value alone ends the search for a lower one. What stands
    ///   behind such a posting in its node can never win and is left out.
    mutating func plant(_ entries: [Entry], isDecisive: (UInt32) -> Bool) -> Tree {
        let (backward, forward) = entries.reduce(into: ([Entry](), [Entry]())) {
            if $1.pattern.suffixCount > $1.pattern.prefixCount { $0.0.append($1) } else { $0.1.append($1) }
        }
        return Tree(
            forward: plantTrie(forward.map { Seed($0, backward: false) }, isDecisive),
            backward: plantTrie(backward.map { Seed($0, backward: true) }, isDecisive))
    }

    /// An entry with its literal end spelled in reading order.
    private struct Seed {
        let key: [UInt8]
        let entry: Entry
        let rest: ArraySlice<UInt8>

        init(_ entry: Entry, backward: Bool) {
            let bytes = entry.pattern.bytes
            self.entry = entry
            if backward {
                key = bytes.suffix(entry.pattern.suffixCount).reversed()
                rest = bytes.dropLast(key.count)
            } else {
                key = Array(bytes.prefix(entry.pattern.prefixCount))
                rest = bytes.dropFirst(key.count)
            }
        }
    }

    private mutating func plantTrie(_ unsorted: [Seed], _ isDecisive: (UInt32) -> Bool) -> Int32 {
        guard !unsorted.isEmpty else { return -1 }
        let seeds = unsorted.sorted { a, b in
            a.key == b.key ? a.entry.value < b.entry.value : a.key.lexicographicallyPrecedes(b.key)
        }
        let root = nodes.count
        nodes.append(Node())
        firstBytes.append(0)
        // Breadth first, so that siblings lie side by side. Each item: a node and the seeds of its subtree, which
        // agree in their first `depth` bytes, those of the node's own label included.
        var queue = [(node: root, seeds: seeds.indices, depth: 0)]
        var head = 0
        while head < queue.count {
            let (node, range, depth) = queue[head]
            head += 1
            let firstLonger = range.first { seeds[$0].key.count > depth } ?? range.upperBound
            addPostings(seeds[range.lowerBound..<firstLonger], to: node, isDecisive)
            nodes[node].childStart = UInt32(nodes.count)
            var start = firstLonger
            while start < range.upperBound {
                let first = seeds[start].key[depth]
                let end = (start..<range.upperBound).first { seeds[$0].key[depth] != first } ?? range.upperBound
                // Sorted: what the first and the last key have in common, all between them have.
                let label = zip(seeds[start].key[depth...], seeds[end - 1].key[depth...])
                    .prefix { $0 == $1 }.map { $0.0 }
                var child = Node()
                (child.labelStart, child.labelCount) = (UInt32(labels.count), UInt32(label.count))
                labels += label
                queue.append((nodes.count, start..<end, depth + label.count))
                nodes.append(child)
                firstBytes.append(first)
                nodes[node].childCount += 1
                start = end
            }
        }
        for node in (root..<nodes.count).reversed() { nodes[node].lowest = lowestValue(under: nodes[node]) }
        return Int32(root)
    }

    private mutating func addPostings(_ seeds: ArraySlice<Seed>, to node: Int, _ isDecisive: (UInt32) -> Bool) {
        func add(_ seeds: [Seed]) {
            for seed in seeds {
                // A rest that is a lone star matches whatever is left.
                let isDecided = seed.rest.isEmpty || seed.rest.elementsEqual([GlobPattern.star])
                let rest = isDecided ? [] : seed.rest
                postings.append(
                    Posting(
                        value: seed.entry.value, restStart: UInt32(texts.count), restCount: UInt32(rest.count),
                        countMin: UInt32(seed.entry.pattern.countMin)))
                texts += rest
                if isDecided, isDecisive(seed.entry.value) { break }
            }
        }
        nodes[node].throughStart = UInt32(postings.count)
        add(seeds.filter { !$0.rest.isEmpty })
        nodes[node].endStart = UInt32(postings.count)
        add(seeds.filter { $0.rest.isEmpty })
        nodes[node].postingsEnd = UInt32(postings.count)
    }

    private func lowestValue(under node: Node) -> UInt32 {
        var lowest = UInt32.max
        for index in node.throughStart..<node.postingsEnd { lowest = min(lowest, postings[Int(index)].value) }
        for child in node.childStart..<node.childStart + node.childCount {
            lowest = min(lowest, nodes[Int(child)].lowest)
        }
        return lowest
    }
}
