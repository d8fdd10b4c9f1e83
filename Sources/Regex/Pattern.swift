import CPCRE2

/// A regular expression, compiled: PCRE2's language, without `\C`.
///
/// A search costs at most ``stepsMax`` steps, whatever the pattern and whatever the bytes: a few milliseconds. Meeting that
/// bound is an answer of its own and not "absent": nobody knows.
///
/// One thread at a time: the memory of a search lies in the pattern and is used again.
///
/// SAFETY: `code` and `memory` are made in `init`, freed in `deinit` and never handed out; PCRE2 reads inside of the span
/// only and during the call only.
@safe public final class Pattern {
    public enum Answer: Sendable, Equatable {
        /// Up to and without this byte.
        case found(end: Int)
        case absent
        /// The search was given up.
        case tooCostly
    }

    /// Of the pattern's text.
    public static let bytesMax = 1024
    /// PCRE2's match limit: how often a search may try something.
    public static let stepsMax: UInt32 = 200_000
    /// What backtracking may hold, in KiB; the interpreter keeps it for the next search.
    private static let heapMax: UInt32 = 4096

    public let text: String
    private let code: OpaquePointer
    private let memory: OpaquePointer
    private let limits: OpaquePointer

    /// - Throws: what is wrong with `text`, and where in it.
    public init(_ text: String) throws(PatternProblem) {
        guard text.utf8.count <= Self.bytesMax else {
            throw PatternProblem("it has more than \(Self.bytesMax) bytes", at: Self.bytesMax)
        }
        self.text = text
        var (error, offset) = (CInt(0), 0)
        let bytes = Array(text.utf8)
        let options = UInt32(PCRE2_UTF) | UInt32(PCRE2_MATCH_INVALID_UTF) | UInt32(PCRE2_NEVER_BACKSLASH_C)
        let compiled = unsafe bytes.withUnsafeBufferPointer {
            unsafe pcre2_compile_8($0.baseAddress, $0.count, options, &error, &offset, nil)
        }
        guard let compiled = unsafe compiled else { throw PatternProblem(Self.message(error), at: offset) }
        // A pattern that has no machine code is interpreted.
        _ = unsafe pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE) | UInt32(PCRE2_JIT_PARTIAL_HARD))
        guard let memory = unsafe pcre2_match_data_create_8(1, nil),
            let limits = unsafe pcre2_match_context_create_8(nil)
        else {
            unsafe pcre2_code_free_8(compiled)
            throw PatternProblem("there is no memory for it")
        }
        unsafe (code, self.memory, self.limits) = (compiled, memory, limits)
        _ = unsafe pcre2_set_match_limit_8(limits, Self.stepsMax)
        _ = unsafe pcre2_set_heap_limit_8(limits, Self.heapMax)
    }

    deinit {
        unsafe pcre2_match_context_free_8(limits)
        unsafe pcre2_match_data_free_8(memory)
        unsafe pcre2_code_free_8(code)
    }

    /// - Parameter mayGoOn: more bytes may follow. Found is then what no further byte can undo: `^ok$` is not found in `ok`.
    public func search(_ bytes: Span<UInt8>, mayGoOn: Bool = false) -> Answer {
        let option = mayGoOn ? UInt32(PCRE2_PARTIAL_HARD) : 0
        var result = match(bytes, option)
        // Machine code has a stack of 32 KiB; the interpreter has the heap up to its bound.
        if result == PCRE2_ERROR_JIT_STACKLIMIT { result = match(bytes, option | UInt32(PCRE2_NO_JIT)) }
        switch result {
        case 0...: return .found(end: unsafe pcre2_get_ovector_pointer_8(memory)[1])
        case PCRE2_ERROR_NOMATCH, PCRE2_ERROR_PARTIAL: return .absent
        default: return .tooCostly
        }
    }

    private func match(_ bytes: Span<UInt8>, _ options: UInt32) -> CInt {
        unsafe bytes.withUnsafeBufferPointer {
            unsafe pcre2_match_8(code, $0.baseAddress, $0.count, 0, options, memory, limits)
        }
    }

    private static func message(_ code: CInt) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe pcre2_get_error_message_8(code, $0.baseAddress, $0.count)
        }
        return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
    }
}

@available(*, unavailable)
extension Pattern: Sendable {}
