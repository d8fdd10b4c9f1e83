/// A text to be matched and the way it is read.
struct Subject: ~Escapable {
    let bytes: Span<UInt8>
    /// ``caseBit``: compared in lower case; 0: as it is.
    let foldBit: UInt8

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, foldBit: UInt8) {
        self.bytes = bytes
        self.foldBit = foldBit
    }

    @inline(__always) func byte(_ depth: Int, backward: Bool) -> UInt8 {
        foldedCase(bytes[backward ? bytes.count - 1 - depth : depth], bit: foldBit)
    }
}

/// A place in a trie: the node, and how many bytes of the text led to it.
struct Descent {
    var node: Int
    var depth = 0
    let backward: Bool

    /// `nil` where the set has no trie of that direction.
    init?(_ tree: PatternForest.Tree, backward: Bool) {
        let root = backward ? tree.backward : tree.forward
        guard root >= 0 else { return nil }
        (node, self.backward) = (Int(root), backward)
    }
}

extension PatternForest {
    /// One node further along `subject`; `false` at the end. Every step uses up at least one byte.
    func step(_ descent: inout Descent, along subject: borrowing Subject) -> Bool {
        let left = subject.bytes.count - descent.depth
        guard left > 0 else { return false }
        let parent = nodes[descent.node]
        let first = subject.byte(descent.depth, backward: descent.backward)
        guard let child = child(of: parent, startingWith: first) else { return false }
        let node = nodes[child]
        let count = Int(node.labelCount)
        guard count <= left else { return false }
        let start = Int(node.labelStart)
        for offset in 1..<count {
            let byte = subject.byte(descent.depth + offset, backward: descent.backward)
            guard labels[start + offset] == byte else { return false }
        }
        descent.node = child
        descent.depth += count
        return true
    }

    /// Whether the pattern of `posting`, found at `descent`, matches the whole of `subject`.
    @inline(__always)
    func matches(_ posting: Posting, at descent: Descent, _ subject: borrowing Subject) -> Bool {
        if posting.restCount == 0 { return true }
        let count = subject.bytes.count
        guard count >= Int(posting.countMin) else { return false }
        let rest = Int(posting.restStart)..<Int(posting.restStart + posting.restCount)
        let left = descent.backward ? 0..<(count - descent.depth) : descent.depth..<count
        return GlobPattern.matches(
            texts.span.extracting(rest), subject.bytes.extracting(left), foldBit: subject.foldBit)
    }

    private func child(of node: Node, startingWith byte: UInt8) -> Int? {
        var low = Int(node.childStart)
        var high = low + Int(node.childCount)
        while high - low > 8 {
            let middle = (low + high) / 2
            if firstBytes[middle] <= byte { low = middle } else { high = middle }
        }
        while low < high {
            if firstBytes[low] == byte { return low }
            low += 1
        }
        return nil
    }
}
