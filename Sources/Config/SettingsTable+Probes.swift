import PoiseModel

/// Rows of the same mapping as ``healthCheck``, for the kinds of checks that have keys of their own. Keys of one kind beside
/// another kind are refused.
extension SettingsTable {
    static let agentProbe = SettingsPlace<AgentProbe>(
        "target_groups[].health_check",
        [
            .text(
                "agent_send", at: \.send, form: "a text", unset: "none",
                "AGENT: sent once connected, with its line end: `\"{group}/{target}\\n\"`.", check: TextForm.agentSend)
        ])

    static let grpcProbe = SettingsPlace<GRPCProbe>(
        "target_groups[].health_check",
        [
            .text(
                "grpc_service", at: \.service, form: "a service such as shop.Cart",
                "GRPC: the service that is asked for; none is the whole server.", check: TextForm.grpcService),
            .init(
                keys: ["grpc_codes"], type: .text(form: "codes such as \"0,12\""), unset: nil,
                attribute: "Matcher.GrpcCode",
                summary:
                    "GRPC: codes of grpc-status that mean healthy, 0 to 99; with 0 the answer must be SERVING too.",
                get: { .text(StatusRanges.format($0.codes)) },
                set: { (root: inout GRPCProbe, value: SettingValue?) throws(ConfigError) in
                    if case .text(let text)? = value { root.codes = try GRPCCodes.parse(text) }
                }),
        ])

    static let commandProbe = SettingsPlace<CommandProbe>(
        "target_groups[].health_check",
        [
            .init(
                keys: ["command"], type: .list(form: "a program's absolute path and its arguments"), unset: nil,
                attribute: nil,
                summary:
                    "EXEC: program and arguments, run without a shell; exit status 0 is healthy "
                    + "([its environment](health.md#external-commands)).",
                get: { .texts($0.command) },
                set: { (root: inout CommandProbe, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    guard !texts.contains(where: { $0.utf8.contains(0) }) else {
                        throw ConfigError(code: .invalid, problem: "an argument has a NUL", fix: "remove it")
                    }
                    root.command = texts
                })
        ])

    static let fileProbe = SettingsPlace<FileProbe>(
        "target_groups[].health_check",
        [
            .text(
                "file", at: \.path, form: "an absolute path",
                "FILE: the file on this machine; {address}, {port}, {group} and {target} stand for the target's.",
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
