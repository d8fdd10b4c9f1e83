import PoiseModel

/// Flag files that nobody can look at: a missing right, a loop of links, a file system that hangs. Each is told of once, however many
/// targets it stands for, and once when it can be looked at again.
extension HealthEngine {
    func noteFile(_ result: ProbeResult, of check: CheckRecord) {
        guard case .file(let path, let state) = result.detail,
            blindFiles.saw(path, check, canTell: state.problem == nil)
        else { return }
        observe(.flagFile(path: path, problem: state.problem))
    }
}

/// Which checks cannot look at their file, by its path.
struct BlindFiles {
    private var checks: [String: [CheckRecord]] = [:]

    /// - Returns: whether it is the first check of its path that cannot, or the last one that could not and now can.
    mutating func saw(_ path: String, _ check: CheckRecord, canTell: Bool) -> Bool {
        let before = (checks[path] ?? []).filter(\.isUsed)
        let after = before.filter { $0 !== check } + (canTell ? [] : [check])
        checks[path] = after.isEmpty ? nil : after
        return before.isEmpty != after.isEmpty
    }

    /// Forgets checks that are gone.
    mutating func keepUsed() { checks = checks.compactMapValues { $0.contains(where: \.isUsed) ? $0 : nil } }
}

extension CheckRecord {
    fileprivate var isUsed: Bool { !users.isEmpty }
}
