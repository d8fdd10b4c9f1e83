import PoiseModel

extension SettingsTable {
    static let listenerTLS = SettingsPlace<ListenerTLS>(
        "listeners[].tls",
        [
            policy(
                at: \.policy, attribute: "SslPolicy",
                "Versions, ciphers and groups: Mozilla's recommendations, or a security policy of ELB by its name."),
            .choice(
                "alpn_policy", at: \.alpn, attribute: "AlpnPolicy",
                "Versions of HTTP that clients may agree to, and which is preferred."),
            .path(
                "ticket_key_file", at: \.ticketKeyFile, form: "the path of a file, 48 or 80 bytes per key",
                unset: "auto",
                "Keys of session tickets that several processes share, the one that seals first; auto draws and "
                    + "rotates them."),
            .boolean(
                "version_and_cipher_headers", at: \.tellsVersionAndCipher,
                attribute: "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
                "Send X-Amzn-Tls-Version and X-Amzn-Tls-Cipher-Suite to targets."),
        ])

    static let strictTransport = SettingsPlace<StrictTransport>(
        "listeners[].tls.strict_transport",
        [
            .init(
                keys: ["max_age"], type: .duration(.zero ... .seconds(315_360_000)), unset: nil, attribute: nil,
                summary: "How long browsers come by HTTPS alone, in whole seconds; 0s makes them forget.",
                get: { .duration($0.maxAge) },
                set: { (root: inout StrictTransport, value: SettingValue?) throws(ConfigError) in
                    guard case .duration(let age)? = value else { return }
                    guard age.count % Nanoseconds.seconds(1).count == 0 else {
                        throw ConfigError(
                            code: .invalid, problem: "\(age) is not a whole number of seconds",
                            fix: "use seconds or longer: 365d")
                    }
                    root.maxAge = age
                }),
            .boolean("include_subdomains", at: \.includesSubdomains, "For all names below the host too."),
            .boolean("preload", at: \.preload, "Agree to the lists that browsers bring along."),
        ])

    /// One certificate of a listener, or the one that is shown to targets.
    static let certificate = SettingsPlace<CertificateFiles>(
        "certificate",
        [
            .path(
                "certificate", at: \.certificate, form: "the path of a PEM file", attribute: "CertificateArn",
                "The certificate and its chain, in this order; may hold the key too."),
            .path("key", at: \.key, form: "the path of a PEM file", "The key, where the first file does not hold it."),
            .path(
                "passphrase_file", at: \.passphraseFile, form: "the path of a file",
                "Its first line opens an encrypted key."),
            .path(
                "ocsp_file", at: \.ocspFile, form: "the path of a DER file",
                "An OCSP response that is stapled while it is valid."),
        ])

    static let targetTLS = SettingsPlace<TargetTLS>(
        "target_groups[].tls",
        [
            .boolean("verify", at: \.verifies, "Whether a target must prove who it is."),
            .path(
                "ca_file", at: \.authorityFile, form: "the path of a PEM file", unset: "system",
                "Authorities that are believed; system is those of this machine."),
            .text(
                "name", at: \.name, form: "a host name or an address", unset: "target",
                "What a target's certificate must name; target is the name that its address was written with, else "
                    + "the address.",
                check: TextForm.certificateName),
            .text(
                "server_name", at: \.serverName, form: "a host name", unset: "auto",
                "Sent as SNI; auto is `name`, where that is a name.", check: TextForm.serverName),
            policy(at: \.policy, attribute: nil, "As in `tls` of a listener."),
        ])

    private static func policy<Root>(
        at path: Setting<Root>.Path<SecurityPolicy>, attribute: String?, _ summary: String
    ) -> Setting<Root> {
        Setting(
            keys: ["policy"], type: .name(of: "security policy", SecurityPolicy.allNames), unset: nil,
            attribute: attribute,
            summary: summary, get: { .text($0[keyPath: path].name) },
            set: { root, value in
                if case .text(let name)? = value, let policy = SecurityPolicy.named(name) {
                    root[keyPath: path] = policy
                }
            })
    }
}
