import COpenSSL
import PoiseModel
import PoisePlatform

/// The keys that seal session tickets: shared by all workers and kept over an apply, so that clients can resume.
///
/// Keys of our own are drawn at random, the sealing one replaced every `period`; a ticket opens for `kept` longer.
/// Keys of a file stay until other bytes come.
public final class TicketKeys: Sendable {
    /// How long one key seals.
    public static let period = Nanoseconds.seconds(12 * 3600)
    /// How long a key opens after it sealed last.
    public static let kept = Nanoseconds.seconds(24 * 3600)

    struct Key {
        let name: [UInt8]
        let mac: [UInt8]
        let cipher: [UInt8]
        /// When another takes its place; ``MonotonicTime/distantFuture`` for a key of a file.
        let sealsUntil: MonotonicTime

        func opens(at now: MonotonicTime) -> Bool { now < sealsUntil + TicketKeys.kept }
    }

    private let keys: Lock<[Key]>

    /// Random keys; the first is drawn at the first use.
    public init() { keys = Lock([]) }

    /// Keys that several processes share, one after the other: 48 bytes each (name, AES-128 key, HMAC key: 16 each)
    /// or 80 (name 16, HMAC key 32, AES-256 key 32). The first seals, all open. Layout: nginx, ssl_session_ticket_key.
    ///
    /// - Returns: `nil` unless ``TicketKeyRecords`` knows the size of a record.
    public init?(file bytes: [UInt8]) {
        guard let size = TicketKeyRecords.size(inFileOf: bytes.count) else { return nil }
        keys = Lock(
            stride(from: 0, to: bytes.count, by: size).map { start in
                let record = Array(bytes[start..<start + size])
                return size == 80
                    ? Key(
                        name: Array(record[..<16]), mac: Array(record[16..<48]), cipher: Array(record[48...]),
                        sealsUntil: .distantFuture)
                    : Key(
                        name: Array(record[..<16]), mac: Array(record[32...]), cipher: Array(record[16..<32]),
                        sealsUntil: .distantFuture)
            })
    }

    /// The key that seals at `now`; `nil` only where the system has no randomness.
    func sealing(at now: MonotonicTime) -> Key? {
        keys.withLock { keys in
            if let first = keys.first, now < first.sealsUntil { return first }
            guard let fresh = Self.random(until: now + Self.period) else { return nil }
            keys.removeAll { !$0.opens(at: now) }
            keys.insert(fresh, at: 0)
            return fresh
        }
    }

    /// The key of a ticket and whether it still seals; `nil` where it is unknown or too old.
    ///
    /// SAFETY: `name` is read within its bounds, during the call.
    func opening(_ name: UnsafeBufferPointer<UInt8>, at now: MonotonicTime) -> (key: Key, isCurrent: Bool)? {
        keys.withLock { keys in
            for (index, key) in keys.enumerated() where unsafe key.name.elementsEqual(name) {
                return key.opens(at: now) ? (key, index == 0 && now < key.sealsUntil) : nil
            }
            return nil
        }
    }

    private static func random(until: MonotonicTime) -> Key? {
        var bytes = [UInt8](repeating: 0, count: 80)
        // SAFETY: 80 bytes are written.
        guard unsafe RAND_bytes(&bytes, CInt(bytes.count)) == 1 else { return nil }
        return Key(
            name: Array(bytes[..<16]), mac: Array(bytes[16..<48]), cipher: Array(bytes[48...]), sealsUntil: until)
    }
}
