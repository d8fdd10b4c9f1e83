import PoiseConfig
import PoiseModel
import PoisePlatform
import PoiseTLS

/// Everything that a configuration needs of the shelf, ready to be put into force: made on a helper thread.
struct ShelfPreparation: Sendable {
    /// Something to be told once the preparation is in force.
    enum News: Sendable {
        case renewed(file: String, Certificate)
        case fileRenewed(String)
        /// The files changed and cannot be used; what they held before stays.
        case kept(file: String, problem: String)
        case selfSigned(Certificate)
    }

    private(set) var contents: ShelfContents
    private(set) var contexts = TLSContexts()
    /// With paths as in the configuration. Nothing may be put into force where there is one.
    private(set) var errors: [ConfigError] = []
    private(set) var warnings: [ConfigError] = []
    private(set) var news: [News] = []

    private let mode: ShelfMode
    /// Nanoseconds since 1970.
    private let now: Int64

    /// Reads what is new or has changed, and makes contexts where something else goes into them. Blocks.
    ///
    /// - Parameter contents: of the shelf; what does not change is the same object afterwards.
    init(_ configuration: Configuration, from contents: ShelfContents, mode: ShelfMode, now: Int64) {
        (self.contents, self.mode, self.now) = (contents, mode, now)
        readCertificates(of: configuration)
        readAuthorities(of: configuration)
        readTicketKeys(of: configuration)
        guard errors.isEmpty else { return }
        makeServers(for: configuration)
        makeClients(for: configuration)
    }

    // MARK: Files

    /// A thing that files make, and the first place that names them.
    private struct Wanted<Key: Hashable & Sendable>: Sendable {
        private(set) var all: [(key: Key, path: String)] = []
        private var seen: Set<Key> = []

        mutating func add(_ key: Key, at path: String) {
            if seen.insert(key).inserted { all.append((key, path)) }
        }
    }

    private mutating func readCertificates(of configuration: Configuration) {
        var wanted = Wanted<CertificateFiles>()
        for (index, listener) in configuration.listeners.enumerated() {
            for (item, files) in (listener.tls?.certificates ?? []).enumerated() {
                wanted.add(files, at: "listeners[\(index)].tls.certificates[\(item)]")
            }
        }
        for (index, group) in configuration.targetGroups.enumerated() {
            if let files = group.tls?.certificate {
                wanted.add(files, at: "target_groups[\(index)].tls.certificate")
            }
        }
        if let own = wanted.all.first(where: { $0.key.isSelfSigned }) {
            makeSelfSigned(at: own.path)
        } else {
            contents.selfSigned = nil
        }
        let all = wanted.all.filter { !$0.key.isSelfSigned }
        let (known, mode, now) = (contents.certificates, self.mode, self.now)
        // Equal bytes under another name need no second load either.
        let byContent = Dictionary(known.values.map { ($0.value.contentDigest, $0.value) }) { first, _ in first }
        let looks = HelperThread.spread("certificates", over: all.count) { index in
            let files = all[index].key
            return ShelfLook(
                at: files.all, known: known[files], mode: mode, now: now,
                make: { CertificateFileReader.certificate(of: files, known: byContent, now: now / 1_000_000_000) },
                same: { $0 === $1 })
        }
        contents.certificates = [:]
        for ((files, path), look) in zip(all, looks) {
            contents.certificates[files] = look.item
            take(look, of: path, file: { files.file(of: $0) }, key: { files.key(of: $0) }) {
                .renewed(file: files.certificate, $0)
            }
        }
    }

    private mutating func makeSelfSigned(at path: String) {
        if let made = contents.selfSigned, !SelfSigned.isOld(made, at: now / 1_000_000_000) { return }
        do throws(TLSSetupError) {
            let made = try SelfSigned.make(now: now / 1_000_000_000)
            contents.selfSigned = made
            news.append(.selfSigned(made))
        } catch {
            errors.append(
                ConfigError(
                    code: .unreadable, path: path, problem: "cannot make a certificate: \(error)",
                    fix: "name the files of one"))
        }
    }

    private mutating func readAuthorities(of configuration: Configuration) {
        var wanted = Wanted<String>()
        for (index, group) in configuration.targetGroups.enumerated() {
            if let tls = group.tls, tls.verifies, let file = tls.authorityFile {
                wanted.add(file, at: "target_groups[\(index)].tls")
            }
        }
        for (index, hook) in configuration.notify.enumerated() {
            if hook.webhook?.isSecure == true, let file = hook.caFile { wanted.add(file, at: "notify[\(index)]") }
        }
        let known = contents.authorities
        contents.authorities = [:]
        for (file, path) in wanted.all {
            let look = ShelfLook(
                at: [file], known: known[file], mode: mode, now: now,
                make: { CertificateFileReader.authorities(of: file) }, same: ==)
            contents.authorities[file] = look.item
            take(look, of: path, file: { _ in file }, key: { _ in "ca_file" }) { _ in .fileRenewed(file) }
        }
    }

    private mutating func readTicketKeys(of configuration: Configuration) {
        var wanted = Wanted<String>()
        for (index, listener) in configuration.listeners.enumerated() {
            if let file = listener.tls?.ticketKeyFile { wanted.add(file, at: "listeners[\(index)].tls") }
        }
        let known = contents.ticketKeys
        contents.ticketKeys = [:]
        for (file, path) in wanted.all {
            let look = ShelfLook(
                at: [file], known: known[file], mode: mode, now: now,
                make: { CertificateFileReader.ticketKeys(of: file) }, same: { $0.bytes == $1.bytes })
            contents.ticketKeys[file] = look.item
            take(look, of: path, file: { _ in file }, key: { _ in "ticket_key_file" }) { _ in .fileRenewed(file) }
        }
    }

    private mutating func take<Value>(
        _ look: ShelfLook<Value>, of path: String, file: (TLSFileProblem.Part) -> String,
        key: (TLSFileProblem.Part) -> String, renewed: (Value) -> News
    ) {
        for problem in look.problems {
            let error = ConfigError(
                code: problem.code, path: key(problem.part), problem: problem.problem, fix: problem.fix
            ).under(path)
            switch problem.severity {
            case .warning: warnings.append(error)
            case .error where mode == .apply || look.item == nil: errors.append(error)
            case .error: if look.isNews { news.append(.kept(file: file(problem.part), problem: problem.problem)) }
            }
        }
        if look.isNews, let item = look.item, item.problem == nil { news.append(renewed(item.value)) }
    }

    // MARK: Contexts

    private mutating func makeServers(for configuration: Configuration) {
        let known = contents.servers
        contents.servers = [:]
        for (index, listener) in configuration.listeners.enumerated() {
            guard let tls = listener.tls else { continue }
            let shown = tls.certificates.enumerated().compactMap { item, files in
                contents.certificate(of: files).map { (item, files, $0) }
            }
            let certificates = shown.map(\.2)
            let tickets = tls.ticketKeyFile.flatMap { contents.ticketKeys[$0]?.value.keys } ?? contents.ownTicketKeys
            if let entry = known[listener.id], entry.isMade(of: certificates, tls, tickets) {
                contents.servers[listener.id] = entry
                contexts.listeners[listener.id] = entry.context
                continue
            }
            let store = CertificateStore(certificates)
            for (place, problem) in store.reports(of: shown.map(\.1)) {
                let path = "listeners[\(index)].tls.certificates[\(shown[place].0)]"
                warnings.append(
                    ConfigError(code: problem.code, path: "certificate", problem: problem.problem, fix: problem.fix)
                        .under(path))
            }
            do throws(TLSSetupError) {
                let context = try TLSServerContext(
                    policy: tls.policy, alpn: tls.alpn, certificates: store,
                    tickets: tickets, scope: listener.id)
                contents.servers[listener.id] = ShelfContents.ServerEntry(
                    context: context, policy: tls.policy, alpn: tls.alpn, tickets: tickets)
                contexts.listeners[listener.id] = context
            } catch {
                errors.append(Self.refused(error, at: "listeners[\(index)].tls.policy"))
            }
        }
    }

    private mutating func makeClients(for configuration: Configuration) {
        let known = contents.clients
        contents.clients = [:]
        for (index, group) in configuration.targetGroups.enumerated() {
            guard let tls = group.tls else { continue }
            let key = ShelfContents.ClientKey(tls, group.version)
            let authorities = key.authorityFile.flatMap { contents.authorities[$0]?.value }
            let certificate = tls.certificate.flatMap { contents.certificate(of: $0) }
            if let entry = contents.clients[key] ?? known[key], entry.authorities == authorities,
                entry.certificate === certificate
            {
                contents.clients[key] = entry
                contexts.groups[group.id] = entry.context
                continue
            }
            do throws(TLSSetupError) {
                let context = try TLSClientContext(
                    policy: tls.policy, verification: Self.verification(tls, authorities), certificate: certificate,
                    protocols: [group.version == .http2 ? .http2 : .http11])
                contents.clients[key] = ShelfContents.ClientEntry(
                    context: context, authorities: authorities, certificate: certificate)
                contexts.groups[group.id] = context
            } catch {
                let part = authorities == nil ? "policy" : "ca_file"
                errors.append(Self.refused(error, at: "target_groups[\(index)].tls.\(part)"))
            }
        }
    }

    private static func verification(_ tls: TargetTLS, _ authorities: [UInt8]?) -> TLSClientContext.Verification {
        guard tls.verifies else { return .off }
        guard let authorities else { return .system }
        return .authorities(authorities)
    }

    private static func refused(_ error: TLSSetupError, at path: String) -> ConfigError {
        ConfigError(
            code: .notAvailable, path: path, problem: "OpenSSL does not do this: \(error)",
            fix: "choose another policy, or another file")
    }
}
