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
    private var checks: [String: [ObjectIdentifier: CheckRecord]] = [:]

    /// - Returns: whether it is the first check of its path that cannot, or the last one that could not and now can.
    /// - Cost: constant, as ten thousand targets may share a path.
    mutating func saw(_ path: String, _ check: CheckRecord, canTell: Bool) -> Bool {
        let before = checks[path]?.count ?? 0
        if before == 0, canTell { return false }
        checks[path, default: [:]][ObjectIdentifier(check)] = canTell ? nil : check
        let after = checks[path]?.count ?? 0
        if after == 0 { checks[path] = nil }
        return (before == 0) != (after == 0)
    }

    /// Forgets checks that are gone.
    mutating func keepUsed() {
        checks = checks.compactMapValues { checks in
            let used = checks.filter(\.value.isUsed)
            return used.isEmpty ? nil : used
        }
    }
}

extension CheckRecord {
    fileprivate var isUsed: Bool { !users.isEmpty }
}
