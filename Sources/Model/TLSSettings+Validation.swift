extension ListenerTLS {
    /// - Returns: errors with paths relative to `tls`.
    func validate() -> [ConfigError] {
        guard !certificates.isEmpty else {
            return [
                ConfigError(
                    code: .missing, path: "certificates", problem: "a listener of protocol HTTPS needs a certificate",
                    fix: "add 'tls: { certificates: [{ certificate: shop.pem, key: shop.key }] }'")
            ]
        }
        var seen: [CertificateFiles: Int] = [:]
        return certificates.enumerated().compactMap { index, files in
            guard let earlier = seen.updateValue(index, forKey: files) else { return nil }
            return ConfigError(
                code: .duplicate, path: "certificates[\(index)]", problem: "the certificate is in this list twice",
                fix: "remove one of the two", related: "certificates[\(earlier)]")
        }
    }

    /// What may be applied and does not do what it says.
    func warnings() -> [ConfigError] {
        guard let strict = strictTransport, strict.preload else { return [] }
        let year = Nanoseconds.seconds(31_536_000)
        if !strict.includesSubdomains {
            return [
                ConfigError(
                    code: .unused, path: "strict_transport.preload",
                    problem: "the preload list takes no site without its subdomains",
                    fix: "add 'include_subdomains: true', or remove 'preload'")
            ]
        }
        guard strict.maxAge < year else { return [] }
        return [
            ConfigError(
                code: .unused, path: "strict_transport.preload",
                problem: "the preload list takes no site with a max_age of less than \(year)",
                fix: "set max_age to \(year), or remove 'preload'", related: "strict_transport.max_age")
        ]
    }
}

extension TargetTLS {
    /// - Returns: errors with paths relative to `tls`.
    func validate(targets: [Target]) -> [ConfigError] {
        guard verifies else {
            guard authorityFile != nil else { return [] }
            return [
                ConfigError(
                    code: .conflict, path: "ca_file", problem: "with 'verify: false' no authority is asked",
                    fix: "remove 'ca_file', or verify", related: "verify")
            ]
        }
        guard name == nil, let index = targets.firstIndex(where: \.address.isUnix) else { return [] }
        return [
            ConfigError(
                code: .missing, path: "name",
                problem: "\(targets[index].address) has no name that its certificate could show",
                fix: "add 'name: …' to 'tls': the name in the certificate of the targets")
        ]
    }
}
