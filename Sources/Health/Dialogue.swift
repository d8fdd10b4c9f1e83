import PoiseModel
import PoiseRegex

/// A conversation as a ``ScriptMatcher`` holds it: what is said and what is waited for, in turns, made once per check.
///
/// Used by one thread at a time: patterns are.
public final class Dialogue {
    enum Turn {
        case say([UInt8])
        case hear(Expectation)
    }

    /// How the connection ends once all was heard.
    public enum Farewell: Sendable, Equatable {
        /// FIN: nobody knows whether the target has more to say.
        case close
        /// RST: an answer came whole, and neither side has more to say.
        case reset
        /// This is said, and the target is waited for to hang up.
        case say([UInt8])
    }

    let turns: [Turn]
    public let farewell: Farewell
    /// The user wrote the steps, and finds them by number.
    let isWrittenOut: Bool

    /// - Throws: where a step's pattern is none.
    public init(_ probe: ScriptProbe) throws(PatternProblem) {
        isWrittenOut = if case .steps = probe.dialogue { true } else { false }
        switch probe.dialogue {
        case .steps(let steps):
            var turns: [Turn] = []
            for step in steps { turns.append(try Turn(step)) }
            (self.turns, farewell) = (turns, .close)
        case .redis(let password):
            let login: [Turn] =
                password.map { [.say(Redis.command("AUTH", $0)), .hear(.init(.line("+OK"), "'+OK'"))] } ?? []
            turns = login + [.say(Redis.command("PING")), .hear(.init(.line("+PONG"), "'+PONG'"))]
            farewell = .reset
        case .smtp(let helo):
            turns = [.reply("220"), .say(Array("EHLO \(helo)\r\n".utf8)), .reply("250")]
            farewell = .say(Array("QUIT\r\n".utf8))
        case .ftp:
            turns = [.reply("220")]
            farewell = .say(Array("QUIT\r\n".utf8))
        case .memcached:
            turns = [.say(Array("version\r\n".utf8)), .hear(.init(.line("VERSION "), "'VERSION'"))]
            farewell = .say(Array("quit\r\n".utf8))
        case .imap:
            turns = [.hear(.init(.line("* OK"), "'* OK'"))]
            farewell = .say(Array("a LOGOUT\r\n".utf8))
        case .pop3:
            turns = [.hear(.init(.line("+OK"), "'+OK'"))]
            farewell = .say(Array("QUIT\r\n".utf8))
        case .mysql(let user):
            turns = [
                .hear(.init(.message(MySQLMessage.greeting), "a greeting of MySQL")),
                .say(MySQLMessage.login(user: user ?? MySQLMessage.stranger)),
                .hear(
                    .init(
                        .message { MySQLMessage.loginResult($0, isStranger: user == nil) }, "a login without a password"
                    )),
            ]
            // After OK it ends an orderly session; a server that refused us has hung up already.
            farewell = .say(MySQLMessage.quit)
        case .postgresql(let user):
            turns = [
                .say(PostgreSQLMessage.startup(user: user ?? PostgreSQLMessage.stranger)),
                .hear(
                    .init(
                        .message { PostgreSQLMessage.answer($0, isStranger: user == nil) },
                        "a request to authenticate")),
            ]
            farewell = .say(PostgreSQLMessage.terminate)
        }
    }

    /// Poise speaks first.
    public var beginsWithWords: Bool { if case .say? = turns.first { true } else { false } }
}

extension Dialogue.Turn {
    fileprivate init(_ step: ScriptProbe.Step) throws(PatternProblem) {
        switch step {
        case .send(let text): self = .say(Array(text.utf8))
        case .sendHex(let bytes): self = .say(bytes)
        case .expect(let text):
            let bytes = Array(text.utf8)
            self = .hear(.init(.text(TextSearch(bytes)), AnswerExcerpt.quoted(bytes)))
        case .expectHex(let bytes):
            self = .hear(.init(.text(TextSearch(bytes)), AnswerExcerpt.quoted(bytes)))
        case .expectRegex(let text):
            self = .hear(.init(.pattern(try Pattern(text)), "what matches /\(text)/"))
        }
    }

    fileprivate static func reply(_ code: StaticString) -> Dialogue.Turn {
        .hear(.init(.reply("\(code)"), "a reply \(code)"))
    }
}

/// What one turn waits for.
struct Expectation {
    enum Kind {
        /// Somewhere in what came.
        case text(TextSearch)
        case pattern(Pattern)
        /// The first line begins so; another line is a refusal.
        case line(String)
        /// A reply as SMTP and FTP have it (RFC 5321 §4.2): lines of one code, the last one without `-` behind it.
        case reply(String)
        /// A message of a binary protocol.
        case message((Span<UInt8>) -> MessageVerdict)
    }
    let kind: Kind
    /// For people.
    let name: String

    init(_ kind: Kind, _ name: String) { (self.kind, self.name) = (kind, name) }
}

/// What a message of a binary protocol amounts to.
enum MessageVerdict: Equatable {
    /// - Parameter atLeast: bytes, all together, before it is worth another look.
    case needMore(atLeast: Int)
    /// - Parameter note: what is worth telling of it: the server's version.
    case accepted(length: Int, note: String)
    /// The protocol asks for these words first; the same is waited for behind them.
    case answer(length: Int, [UInt8])
    /// - Parameter text: what the target said, in its own words.
    case refused(String)
    /// It is no message of this protocol.
    case foreign
}

private enum Redis {
    /// As a client library sends it: any bytes may be in an argument.
    static func command(_ words: String...) -> [UInt8] {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        return bytes
    }
}
