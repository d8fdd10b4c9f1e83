import PoiseConfig
import PoisePlatform

/// Something that was made of files, and what those files were then.
struct ShelfItem<Value: Sendable>: Sendable {
    /// In force.
    var value: Value
    /// Of each file at the last look, in order; `nil` for one that was not there.
    var stamps: [FileStamp?]
    /// Nanoseconds since 1970: before the files were read.
    var readAt: Int64
    /// Why what the files hold now is not ``value``, which they held before; `nil` where it is.
    var problem: String?

    /// Whether the files are the ones of the last look.
    ///
    /// A file that changed about when it was read may have changed again within the same tick of its clock: it counts
    /// as another one until it has been read once more.
    func isCurrent(_ now: [FileStamp?]) -> Bool {
        now == stamps && stamps.allSatisfy { $0.map { abs(readAt - $0.changed) > 1_000_000_000 } ?? true }
    }
}

/// What a look at the files of one thing found.
struct ShelfLook<Value: Sendable>: Sendable {
    /// In force from now on; `nil` where the files never held anything usable.
    var item: ShelfItem<Value>?
    /// Errors, whose text ``ShelfItem/problem`` is, and warnings.
    var problems: [TLSFileProblem] = []
    /// There is something to tell: other content than before, or none that can be used.
    var isNews = false

    /// - Parameters:
    ///   - files: absolute paths.
    ///   - mode: what becomes of content that cannot be used.
    ///   - now: nanoseconds since 1970.
    ///   - make: reads the files and makes the value of them, `nil` with an error; `same` says whether that is the
    ///     one that is known.
    init(
        at files: [String], known: ShelfItem<Value>?, mode: ShelfMode, now: Int64,
        make: () -> (Value?, [TLSFileProblem]), same: (Value, Value) -> Bool
    ) {
        let stamps = files.map { FileStamp(of: $0) }
        if let known, known.isCurrent(stamps), known.problem == nil || mode == .watch {
            item = known
            return
        }
        let (made, problems) = make()
        self.problems = problems
        guard let made else {
            let text = problems.first { $0.severity == .error }?.problem ?? ""
            isNews = known?.problem != text || known?.stamps != stamps
            item = known.map { ShelfItem(value: $0.value, stamps: stamps, readAt: now, problem: text) }
            return
        }
        let isSame = known.map { same($0.value, made) } ?? false
        isNews = known != nil && (!isSame || known?.problem != nil)
        item = ShelfItem(value: isSame ? known!.value : made, stamps: stamps, readAt: now)
    }
}

/// Who looks at files.
enum ShelfMode: Sendable {
    /// An apply: whatever cannot be used refuses it.
    case apply
    /// The watch: what cannot be used leaves what there is in force, and is read again once the files change.
    case watch
}
