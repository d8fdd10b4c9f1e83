import PoiseModel
import Testing

@testable import PoiseControl

@Suite("Hooks of a new configuration that were there before")
struct HookIdentityTests {
    /// `name:program/events`, with `-` for no name.
    private func hooks(_ texts: String) -> [NotifyHook] {
        texts.split(separator: " ").map { text in
            let parts = text.split(whereSeparator: { ":/".contains($0) }).map(String.init)
            var hook = NotifyHook()
            (hook.name, hook.command) = (parts[0] == "-" ? nil : parts[0], [parts[1]])
            hook.events = parts[2].map { $0 == "d" ? .targetDown : $0 == "u" ? .targetUp : .groupDown }
            if parts.count > 3 { hook.retries = Int(parts[3])! }
            return hook
        }
    }

    @Test(
        "who is who",
        arguments: [
            // The same, elsewhere; the first of two is gone; both are.
            ("-:a/d -:b/d", "-:b/d -:a/d", [1, 0]), ("-:a/d -:b/d", "-:b/d", [1]), ("-:a/d", "", []),
            // The same program is told of something else.
            ("-:a/d -:a/u", "-:a/u", [1]), ("-:a/d -:a/u", "-:a/u/9", [1]), ("-:a/d", "-:a/u", [0]),
            ("-:a/d -:a/u", "-:a/g", [nil]), ("-:a/d -:a/u", "-:a/g -:a/dg", [0, 1]),
            // Another program is told of the same.
            ("-:a/d", "-:b/d", [0]), ("-:a/d -:b/u", "-:c/d -:b/u", [0, 1]), ("-:a/d -:b/d", "-:c/d -:b/d", [0, 1]),
            ("-:a/d -:b/d", "-:c/d", [nil]), ("-:a/d", "-:b/d -:c/d", [nil, nil]),
            ("-:a/d -:b/d", "-:c/d -:e/d", [0, 1]), ("-:a/d -:b/d", "-:b/d -:c/d", [1, 0]),
            // Another one, told of something else.
            ("-:a/d", "-:b/u", [nil]),
            // Names say it, whatever else changes; a name that is new changes nothing.
            ("x:a/d y:b/d", "y:c/u x:b/d", [1, 0]), ("x:a/d", "y:a/d", [nil]), ("-:a/d -:b/d", "x:b/d", [1]),
            ("x:a/d -:a/d", "-:a/d", [0]), ("x:a/d -:a/d", "-:a/d x:a/d", [1, 0]),
        ] as [(String, String, [Int?])])
    func identity(old: String, new: String, places: [Int?]) {
        #expect(HookIdentity.places(of: hooks(new), among: hooks(old)) == places)
    }
}
