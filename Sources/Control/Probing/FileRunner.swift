import PoiseHealth
import PoiseModel

/// Looks whether a file is there. The question goes to a thread of its own: a file system may not answer.
final class FileRunner: WaitingProbe {
    private let path: String
    private let downWhen: FileProbe.Sign
    /// Which question the answer must be to: an earlier one may come late.
    private var question = 0

    override init(_ check: CheckRecord, prober: Prober) {
        guard case .file(let probe) = check.spec.check.kind, let subject = check.spec.subject else {
            preconditionFailure("a file's name may hold the target's")
        }
        (path, downWhen) = (subject.fill(probe.path), probe.downWhen)
        super.init(check, prober: prober)
    }

    override var needsPlace: Bool { false }

    override func begin() {
        question += 1
        let asked = question
        prober.files.look(at: path, for: self) { [weak self] state in
            guard let self, isRunning, question == asked else { return }
            judge(state)
        }
    }

    override func timeIsUp() { judge(.noAnswer) }
    override func release() {}

    private func judge(_ state: FileState) {
        let detail = ProbeResult.Detail.file(path: path, state)
        switch (state, downWhen) {
        case (.exists, .missing), (.missing, .exists): finish(.succeeded, detail)
        case (.exists, .exists), (.missing, .missing): finish(.failed(.maintenanceFile), detail)
        // Nobody has seen the flag, and nobody has seen that it is not there: what was known holds.
        case (.unknown, .exists), (.noAnswer, .exists): finish(.learntNothing, detail)
        // No sign of life is none.
        case (.unknown, .missing), (.noAnswer, .missing): finish(.failed(.maintenanceFile), detail)
        }
    }
}
