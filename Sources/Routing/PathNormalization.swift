/// The form of a path that rules are matched on. The request that goes to the target keeps its raw path.
///
/// A rule that guards `/admin/*` must also see `//admin/x`, `/%61dmin/x` and `/shop/../admin/x`, because targets
/// read them as the same path. The choices, where RFC 3986 leaves one:
///
/// 1. A triplet of an unreserved byte is decoded (`%7e` → `~`), every other stays, in upper case (`%c3` → `%C3`):
///    RFC 3986 §6.2.2. So `%2F` never separates segments and `%2A` is never the byte `*`.
/// 2. Decoding happens once: `%252e` stays what it is.
/// 3. Then slashes collapse, then dot segments go (`/a//../b` → `/b`, as nginx; Envoy, which takes the dot
///    segments first, says `/a/b`). `..;` and `...` are ordinary segments.
/// 4. A path that climbs above the root is refused, although RFC 3986 §5.2.4 would stop at the root: nobody who
///    means well sends it, and targets disagree about it.
/// 5. Control bytes, raw or as triplets, and triplets that are none are refused.
/// 6. A byte that a path may not hold (non-ASCII, `"`, `\`, `|` …) is matched as the triplet that targets take it
///    for. A backslash is no separator.
/// 7. An empty path is `/` (RFC 9112 §3.2.1); `*` is itself; anything else starts with `/`.
public enum PathNormalization {
    public enum Refusal: String, Error, Sendable, CaseIterable {
        case climbsAboveRoot = "climbs_above_root"
        case badTriplet = "bad_percent_triplet"
        case controlByte = "control_byte"
        case notAbsolute = "not_absolute"
    }

    public enum Outcome: Sendable, Equatable {
        case normal
        case refused(Refusal)
    }

    /// Whether `path` can be matched as it is: the question for nearly every request, answered in one pass.
    /// `false` only means "ask ``normalize(_:into:)``".
    public static func isNormal(_ path: Span<UInt8>) -> Bool {
        let allowed = ASCIISet.path
        guard path.count > 0, path[0] == slash else { return false }
        var index = 0
        while index < path.count {
            let byte = path[index]
            index += 1
            if byte != slash {
                guard allowed.contains(byte) else { return false }
            } else if index < path.count {
                if path[index] == slash { return false }
                if path[index] == dot, isDotSegment(path, from: index) { return false }
            }
        }
        return true
    }

    /// Writes the normal form of `path` over `output`. One pass; allocates only to grow `output`, which never gets
    /// longer than three times the path. After a refusal `output` holds nothing of meaning.
    public static func normalize(_ path: Span<UInt8>, into output: inout [UInt8]) -> Outcome {
        output.removeAll(keepingCapacity: true)
        guard path.count > 0 else {
            output.append(slash)
            return .normal
        }
        if path.count == 1, path[0] == UInt8(ascii: "*") {
            output.append(path[0])
            return .normal
        }
        guard path[0] == slash else { return .refused(.notAbsolute) }
        let (unreserved, allowed) = (ASCIISet.unreserved, ASCIISet.path)
        output.append(slash)
        var segmentStart = 1
        var index = 1
        while index < path.count {
            let byte = path[index]
            index += 1
            if byte == slash {
                guard closeSegment(&output, &segmentStart, endsPath: false) else { return .refused(.climbsAboveRoot) }
            } else if byte == UInt8(ascii: "%") {
                guard index + 1 < path.count, let high = hexValue(path[index]), let low = hexValue(path[index + 1])
                else { return .refused(.badTriplet) }
                index += 2
                let value = high << 4 | low
                if isControl(value) { return .refused(.controlByte) }
                if unreserved.contains(value) { output.append(value) } else { output.appendPercentEncoded(value) }
            } else if allowed.contains(byte) {
                output.append(byte)
            } else if isControl(byte) || byte == 0x20 {
                return .refused(.controlByte)
            } else {
                output.appendPercentEncoded(byte)
            }
        }
        guard closeSegment(&output, &segmentStart, endsPath: true) else { return .refused(.climbsAboveRoot) }
        return .normal
    }

    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")

    /// `.` or `..`, ended by a slash or the end of the path.
    private static func isDotSegment(_ path: Span<UInt8>, from start: Int) -> Bool {
        var end = start + 1
        if end < path.count, path[end] == dot { end += 1 }
        return end == path.count || path[end] == slash
    }

    /// Ends the segment that starts at `segmentStart`: resolves it when it is `.` or `..`, drops it when it is
    /// empty. Invariant: `output[segmentStart - 1]` is a slash. Returns `false` when the path climbs above its root.
    private static func closeSegment(_ output: inout [UInt8], _ segmentStart: inout Int, endsPath: Bool) -> Bool {
        let count = output.count - segmentStart
        if count == 0 { return true }
        if count == 1, output[segmentStart] == dot {
            output.removeLast()
            return true
        }
        if count == 2, output[segmentStart] == dot, output[segmentStart + 1] == dot {
            output.removeLast(2)
            guard output.count > 1 else { return false }
            output.removeLast()
            while let last = output.last, last != slash { output.removeLast() }
            segmentStart = output.count
            return true
        }
        if !endsPath {
            output.append(slash)
            segmentStart = output.count
        }
        return true
    }
}
