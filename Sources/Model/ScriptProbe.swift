/// A conversation over a connection that tells whether a target is well: written out in steps, or one that Poise knows.
public struct ScriptProbe: Sendable, Hashable {
    /// One thing that is said, or waited for.
    public enum Step: Sendable, Hashable {
        case send(String)
        case sendHex([UInt8])
        /// This is somewhere in what came since the last `send`, behind what earlier steps found.
        case expect(String)
        case expectHex([UInt8])
        case expectRegex(String)

        public var isSend: Bool {
            switch self {
            case .send, .sendHex: true
            case .expect, .expectHex, .expectRegex: false
            }
        }
    }

    /// Which conversation.
    public enum Dialogue: Sendable, Hashable {
        /// Not empty, and at least one waits for something.
        case steps([Step])
        /// PING, behind AUTH where there is a password.
        case redis(password: String?)
        /// The greeting, EHLO with this name, QUIT.
        case smtp(helo: String)
        /// The greeting, then a login without a password; without a user a refused login is fine too.
        case mysql(user: String?)
        /// A start-up as this user, up to the question for a password; without a user a refusal is fine too.
        case postgresql(user: String?)
        /// The greeting, or an answer that needs no login.
        case memcached, ftp, imap, pop3
    }

    public var dialogue: Dialogue
    /// Over TLS from the first byte, with the group's TLS settings.
    public var isSecure: Bool

    public init(_ dialogue: Dialogue, isSecure: Bool = false) { (self.dialogue, self.isSecure) = (dialogue, isSecure) }

    /// `SCRIPT of 4 steps`, `REDIS PING`, `SMTP over TLS`.
    public var summary: String { isSecure ? "\(name) over TLS" : name }

    private var name: String {
        switch dialogue {
        case .steps(let steps): "SCRIPT of \(steps.count) step\(steps.count == 1 ? "" : "s")"
        case .redis: "REDIS PING"
        case .smtp: "SMTP EHLO"
        case .mysql(let user): user == nil ? "MYSQL greeting" : "MYSQL login"
        case .postgresql(let user): user == nil ? "POSTGRESQL greeting" : "POSTGRESQL login"
        case .memcached: "MEMCACHED version"
        case .ftp: "FTP greeting"
        case .imap: "IMAP greeting"
        case .pop3: "POP3 greeting"
        }
    }
}
