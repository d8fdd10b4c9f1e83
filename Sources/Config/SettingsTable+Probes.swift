import PoiseModel

/// Rows of the same mapping as ``healthCheck``, for the kinds of checks that have keys of their own:
/// ``HealthDraft/Kind/ownKeys`` says which.
extension SettingsTable {
    /// Each of them makes the check an HTTP check.
    static let httpProbe = SettingsPlace<HTTPProbe>(
        "target_groups[].health_check",
        [
            .text("method", at: \.method, form: "a method such as GET", "HTTP: the method.", check: TextForm.method),
            .text(
                "path", at: \.path, form: "a path that starts with /", attribute: "HealthCheckPath",
                "HTTP: the path, with its query if it needs one.", check: TextForm.probePath),
            .text(
                "host", at: \.host, form: "a host name", unset: "target",
                "HTTP: the Host field; target is the target's own name.",
                check: TextForm.hostAndPort),
            .init(
                keys: ["headers"], type: .pairs(form: "a mapping of field names to values"), unset: nil, attribute: nil,
                summary: "HTTP: further fields of the request.",
                get: { .pairs($0.headers.map { .init(name: $0.name, value: $0.value) }) },
                set: { (root: inout HTTPProbe, value: SettingValue?) throws(ConfigError) in
                    guard case .pairs(let pairs)? = value else { return }
                    for pair in pairs {
                        do throws(ConfigError) { try TextForm.field(pair.name, pair.value) } catch {
                            throw error.under(pair.name)
                        }
                    }
                    root.headers = pairs.map { .init(name: $0.name, value: $0.value) }
                }),
            .parsed(
                "matcher", at: \.matcher, form: "statuses such as \"200-299,404\"", attribute: "Matcher.HttpCode",
                "HTTP: statuses that mean healthy.", format: StatusRanges.format, parse: StatusRanges.parse),
            .text(
                "body_contains", at: \.bodyContains, form: "a text",
                "HTTP: the first 64 KiB of the answer's body must contain this.", check: TextForm.bodyContains),
            .text(
                "body_matches", at: \.bodyMatches, form: "a regular expression",
                "HTTP: the first 64 KiB of the answer's body must match this regular expression (PCRE2).",
                check: TextForm.bodyMatches),
            .boolean(
                "reuse_connection", at: \.reusesConnection,
                "HTTP: probe again on the connection of the probe before ([what that hides](health.md#reuse_connection))."
            ),
        ])

    /// Of dialogues and of DNS.
    static let checkKinds = SettingsPlace<KindOptions>(
        "target_groups[].health_check",
        [
            .boolean(
                "tls", at: \.isOverTLS,
                "SCRIPT, REDIS, SMTP, MEMCACHED, FTP, IMAP, POP3: over TLS from the first byte, as the group's TLS settings say."
            ),
            .text(
                "password", at: \.password, form: "file:PATH or ${NAME}", unset: "none",
                "REDIS: logs in before PING; never shown, and never written here itself.", check: TextForm.secret),
            .text(
                "helo", at: \.helo, form: "a host name", "SMTP: the name that EHLO gives.", check: TextForm.helo),
            .text(
                "user", at: \.user, form: "a user's name", unset: "none",
                "MYSQL, POSTGRESQL: who logs in, without a password; none asks as a stranger, who may be refused.",
                check: TextForm.databaseUser),
            .init(
                keys: ["query"], type: .text(form: "a domain name"), unset: nil, attribute: nil,
                summary: "DNS: the name that is asked for; required.",
                get: { $0.dns.query.isEmpty ? nil : .text($0.dns.query) },
                set: { (root: inout KindOptions, value: SettingValue?) throws(ConfigError) in
                    guard case .text(let text)? = value else { return }
                    root.dns.query = try TextForm.domainName(text)
                }),
            .choice("record", at: \.dns.record, "DNS: the type of record; one must be in the answer."),
            .choice(
                "transport", at: \.dns.transport, "DNS: udp, and TCP where the answer does not fit; or TCP at once."),
            .address(
                "answer", at: \.dns.answer, form: "an IP address", unset: "any",
                advice: "write one such as 10.0.0.1, or any",
                "DNS: this address must be among the answers; any record will do with any."),
        ])

    static let agentProbe = SettingsPlace<AgentProbe>(
        "target_groups[].health_check",
        [
            .text(
                "agent_send", at: \.send, form: "a text", unset: "none",
                "AGENT: sent once connected, with its line end: `\"{group}/{target}\\n\"`; {address} and {port} stand for the "
                    + "target's too, and other braces are text.",
                check: TextForm.agentSend)
        ])

    static let grpcProbe = SettingsPlace<GRPCProbe>(
        "target_groups[].health_check",
        [
            .text(
                "grpc_service", at: \.service, form: "a service such as shop.Cart",
                "GRPC: the service that is asked for; none is the whole server.", check: TextForm.grpcService),
            .parsed(
                "grpc_codes", at: \.codes, form: "codes such as \"0,12\"", attribute: "Matcher.GrpcCode",
                "GRPC: codes of grpc-status that mean healthy, 0 to 99; with 0 the answer must be SERVING too.",
                format: StatusRanges.format, parse: GRPCCodes.parse),
        ])

    static let commandProbe = SettingsPlace<CommandProbe>(
        "target_groups[].health_check",
        [
            .command(
                at: \.command,
                "EXEC: program and arguments, run without a shell; exit status 0 is healthy "
                    + "([its environment](health.md#external-commands)).")
        ])

    static let fileProbe = SettingsPlace<FileProbe>(
        "target_groups[].health_check",
        [
            .text(
                "file", at: \.path, form: "an absolute path",
                "FILE: the file on this machine; {address}, {port}, {group} and {target} stand for the target's; "
                    + "other braces are text.",
                check: TextForm.flagFile),
            .choice(
                "down_when", at: \.downWhen,
                "FILE: exists: the file takes the target out; missing: the file keeps it in."),
        ])
}

/// Codes of `grpc-status` as ALB writes them: `0`, `0-99`, `0,12`.
enum GRPCCodes {
    static func parse(_ text: String) throws(ConfigError) -> [ClosedRange<Int>] {
        var codes: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { code($0) }
            guard (1...2).contains(ends.count), let low = ends[0], let high = ends[ends.count - 1], low <= high else {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' is not a list of codes from 0 to 99",
                    fix: "write codes and ranges such as 0, \"0,12\" or \"0-5\"")
            }
            codes.append(low...high)
        }
        return codes
    }

    private static func code(_ text: Substring) -> Int? {
        guard (1...2).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }
}

extension TextForm {
    static func agentSend(_ text: String) throws(ConfigError) {
        guard !text.isEmpty, text.utf8.count <= 1024, !text.utf8.contains(0) else {
            throw ConfigError(
                code: .invalid, problem: "what is sent to an agent has 1 to 1024 bytes, and no NUL among them",
                fix: "write a line such as \"{group}/{target}\\n\", or none")
        }
    }

    static func grpcService(_ text: String) throws(ConfigError) {
        let isGood =
            text.utf8.count <= 256
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0 & 0xDF)
                    || [0x2E, 0x5F, 0x2D, 0x2F].contains($0)
            }
        guard isGood else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not the name of a gRPC service",
                fix: "write a name such as shop.Cart, at most 256 letters, digits and . _ - /")
        }
    }

    static func flagFile(_ text: String) throws(ConfigError) {
        guard text.hasPrefix("/"), !text.hasSuffix("/"), text.utf8.count <= 1024,
            !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not an absolute path of at most 1024 bytes",
                fix: "write a path such as /etc/poise/maintenance/{target}")
        }
    }
}
