import PoiseModel
import Testing

@Suite("Groups whose checks tell of other groups")
struct TrackedGroupTests {
    @Test(
        "the way from group to group ends where somebody checks, or nowhere",
        arguments: [
            (["a": nil], "a"), (["a": "b", "b": nil], "b"), (["a": "b", "b": "c", "c": nil], "c"), (["a": "b"], nil),
            (["a": "a"], nil), (["a": "b", "b": "c", "c": "b"], nil),
        ] as [([String: String?], String?)])
    func way(tracked: [String: String?], end: String?) {
        let groups = tracked.map { id, other in
            var group = TargetGroup(id: id, name: id, targets: [])
            group.trackedGroup = other
            return (id, group)
        }
        let all = Dictionary(uniqueKeysWithValues: groups)
        #expect(all["a"]?.checkedGroup(among: all)?.id == end)
    }
}
