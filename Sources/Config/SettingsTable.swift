import PoiseModel

/// Every setting that is one value or one list of values, by the place where it is written.
///
/// Objects (listeners, rules, actions, groups, targets) are read by code; whatever hangs on them is a row here. Ranges
/// are the widest that make sense: a value outside is a slip, not a wish.
enum SettingsTable {
    static let process = SettingsPlace<ProcessSettings>(
        "process",
        [
            .integer(
                "workers", at: \.workers, in: 1...1024, unset: "auto",
                "Threads that carry traffic; auto is one per core. Fixed for the life of the process."),
            .duration(
                "shutdown_deadline", at: \.shutdownDeadline, in: .zero ... .seconds(86_400),
                "How long TERM waits for exchanges in flight."),
            .text(
                "zone", at: \.zone, form: "a zone such as eu-1a", unset: "none",
                "Where this Poise stands: groups with zone_preference send to targets of the same zone first.",
                check: TextForm.placeName),
            .text(
                "node", at: \.node, form: "a name such as lb-1", unset: "auto",
                "What tells this Poise from others in front of the same targets, for subset; auto is the host's name. "
                    + "It must outlive restarts.",
                check: TextForm.placeName),
            .text(
                "user", at: \.user, form: "a user's name", unset: "none",
                "The user, and its group, to become once the listeners are bound; needs root.",
                check: TextForm.userName),
            .integer(
                "limits", "max_connections", at: \.maxConnections, in: 1...10_000_000, unset: "auto",
                "Client connections over all listeners; auto is the descriptor limit less a reserve."),
            .integer(
                "limits", "max_commands", at: \.commandsMax, in: 1...1024,
                "Programs of `notify` and of checks that run at once; the others wait their turn."),
            .boolean(
                "admin", "allow_commands", at: \.allowsCommandsByAdmin,
                "Whether `poise apply` may bring commands that this file does not have. Only the file with which Poise "
                    + "was started, or that HUP reads, can allow it."),
            .text(
                "admin", "socket", at: \.adminSocket, form: "an absolute path", unset: "auto",
                "Where poise status and its siblings connect; auto is $POISE_ADMIN, else /run/poise/admin.sock for "
                    + "root, else $XDG_RUNTIME_DIR/poise/admin.sock, else /tmp/poise-UID/admin.sock.",
                check: TextForm.socketPath),
            .parsed(
                "admin", "metrics", at: \.metricsAddress, form: "an address such as 127.0.0.1:9100", unset: "off",
                "An address that also serves GET /metrics, and nothing else of the admin API.",
                format: \.description, parse: ListenAddress.init(parsing:)),
        ])

    static let logs = SettingsPlace<LogSettings>(
        "logs",
        [
            .parsed(
                "access", "destination", at: \.access, form: "stdout, stderr, off or a path",
                attribute: "access_logs.s3.enabled",
                "Where access records go: stdout, stderr, off, or a file's path.", format: TextForm.destination,
                parse: TextForm.destination),
            .init(
                keys: ["access", "format"],
                type: .choice(LogSettings.Format.allCases.map(\.rawValue), later: ["template"]),
                unset: "auto", attribute: nil,
                summary: "The form of a record; auto is console on a terminal, else json.",
                get: { $0.accessFormat.map { .text($0.rawValue) } },
                set: { root, value in
                    if case .text(let text)? = value {
                        root.accessFormat = .init(rawValue: text)
                    } else {
                        root.accessFormat = nil
                    }
                }),
            .init(
                keys: ["access", "ring_records"], type: .integer(64...1_048_576), unset: nil, attribute: nil,
                summary: "Records that wait for the writer, per worker; a power of two. More are dropped and counted.",
                get: { .integer($0.accessRingRecords) },
                set: { (root: inout LogSettings, value: SettingValue?) throws(ConfigError) in
                    guard case .integer(let number)? = value else { return }
                    guard number.nonzeroBitCount == 1 else {
                        let above = 1 << (Int.bitWidth - number.leadingZeroBitCount)
                        throw ConfigError(
                            code: .invalid, problem: "\(number) is not a power of two",
                            fix: "use \(above / 2) or \(above)")
                    }
                    root.accessRingRecords = number
                }),
            .parsed(
                "health", at: \.health, form: "stdout, stderr, off or a path",
                attribute: "health_check_logs.s3.enabled",
                "Where a line of JSON per change of health goes; the operational log has these changes too.",
                format: TextForm.destination, parse: TextForm.destination),
        ])

    static let redirect = SettingsPlace<Redirect>(
        "redirect",
        [
            .text(
                "scheme", at: \.scheme, form: "http, https or #{protocol}", attribute: "RedirectConfig.Protocol",
                "The scheme to go to.", check: TextForm.scheme),
            .text(
                "host", at: \.host, form: "a host name", attribute: "RedirectConfig.Host",
                "The host to go to; may use #{host}.", check: TextForm.redirectHost),
            .text(
                "port", at: \.port, form: "a port or #{port}", attribute: "RedirectConfig.Port",
                "The port to go to.", check: TextForm.redirectPort),
            .text(
                "path", at: \.path, form: "a path that starts with /", attribute: "RedirectConfig.Path",
                "The path to go to; may use #{host}, #{path} and #{port}.", check: TextForm.redirectPath),
            .text(
                "query", at: \.query, form: "a query without its ?", attribute: "RedirectConfig.Query",
                "The query to go to; may use #{query}; empty quotes remove it.", check: TextForm.redirectQuery),
            .integer(
                "status", at: \.status, in: 300...399, attribute: "RedirectConfig.StatusCode",
                "301, 302, 303, 307 or 308."),
        ])

    static let fixedResponse = SettingsPlace<FixedResponse>(
        "fixed_response",
        [
            .integer(
                "status", at: \.status, in: 200...599, attribute: "FixedResponseConfig.StatusCode",
                "Status of the answer."),
            .text(
                "content_type", at: \.contentType, form: "a media type such as text/html",
                attribute: "FixedResponseConfig.ContentType", "Content-Type of the answer.", check: TextForm.mediaType),
            .text(
                "body", at: \.body, form: "a text", attribute: "FixedResponseConfig.MessageBody",
                "Body of the answer, up to 64 KiB; file:PATH takes a file's content.", check: TextForm.body),
        ])
}

/// The settings of one place, ready to be looked up by key.
struct SettingsPlace<Root>: Sendable {
    /// As documentation shows it: `listeners[]`.
    let name: String
    let settings: [Setting<Root>]
    /// Rows with one key.
    let direct: [String: Setting<Root>]
    /// Rows with two keys, by section.
    let sections: [String: [String: Setting<Root>]]
    /// First keys in written order, each once.
    let keys: [String]
    /// Sections for which one value may stand, and the row that it is for: `algorithm: sed` is `algorithm: { type: sed }`.
    let shorthands: [String: String]

    init(_ name: String, shorthands: [String: String] = [:], _ settings: [Setting<Root>]) {
        (self.name, self.settings, self.shorthands) = (name, settings, shorthands)
        var direct: [String: Setting<Root>] = [:]
        var sections: [String: [String: Setting<Root>]] = [:]
        var keys: [String] = []
        for setting in settings {
            let first = setting.keys[0]
            if !keys.contains(first) { keys.append(first) }
            if setting.keys.count == 1 {
                direct[first] = setting
            } else {
                sections[first, default: [:]][setting.keys[1]] = setting
            }
        }
        (self.direct, self.sections, self.keys) = (direct, sections, keys)
    }

    /// `root`, with what `base` has where the rest has no use for a setting: that is not carried along.
    func withoutUseless(_ root: Root, base: Root) -> Root {
        var result = root
        // What is taken back may have been all that another one was of use for.
        while let row = settings.first(where: { !$0.applies(result) && $0.get(result) != $0.get(base) }) {
            do throws(ConfigError) { try row.set(&result, row.get(base)) } catch {
                preconditionFailure("a default is refused: \(error)")
            }
        }
        return result
    }

    /// The rows of one section in written order.
    func rows(of section: String) -> [Setting<Root>] { settings.filter { $0.keys.count == 2 && $0.keys[0] == section } }
}
