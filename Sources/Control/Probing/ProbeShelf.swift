import PoiseHealth
import PoiseModel
import PoiseRegex

/// What checks with the same words share: patterns and conversations, compiled once for ten thousand targets. Kept while a
/// check holds them.
final class ProbeShelf {
    private struct Weak<Object: AnyObject> { weak var object: Object? }
    private var patterns: [String: Weak<Pattern>] = [:]
    private var dialogues: [ScriptProbe: Weak<Dialogue>] = [:]

    /// - Returns: `nil` where the text is no pattern; a valid configuration has none such.
    func pattern(_ text: String) -> Pattern? {
        if let known = patterns[text]?.object { return known }
        let pattern = try? Pattern(text)
        patterns = patterns.filter { $0.value.object != nil }
        patterns[text] = Weak(object: pattern)
        return pattern
    }

    func dialogue(_ probe: ScriptProbe) -> Dialogue? {
        if let known = dialogues[probe]?.object { return known }
        let dialogue = try? Dialogue(probe)
        dialogues = dialogues.filter { $0.value.object != nil }
        dialogues[probe] = Weak(object: dialogue)
        return dialogue
    }
}
