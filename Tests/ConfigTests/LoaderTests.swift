import PoiseConfig
import PoiseModel
import Testing

@Suite("Loading any bytes")
struct LoaderFuzzTests {
    @Test("mutated files give a configuration or an error with a place, and never a trap")
    func mutations() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let files = FolderReader(folder: Fixture.folder, workingFolder: "/etc/poise")
        let (good, bad) = (
            Fixture.all.filter { $0.name.hasPrefix("ok-") }, Fixture.all.filter { !$0.name.hasPrefix("ok-") }
        )
        // Half of the seeds are files without an error, which most of the others outnumber.
        let seeds = try (good + good + bad + good).map {
            Array(try files.read(path: "\($0.name).yaml", bytesMax: 1 << 20))
        }
        let words = [
            "${APP}", "file:files/token", "*a", "&a ", "<<: *a\n", "{", "}", "[", "]", ": ", "- ", "\n", "#", "\"",
            "\t", "\u{0}", "é", "99999999999999999999", "-1", "null",
            "HTTPS", "TLS", "tls: ", "self-signed", "http2: ", "certificates: ",
        ]
        var accepted = 0
        for _ in 0..<2_000 {
            var text = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0...text.count, using: &random)
                let end = min(text.count, place + Int.random(in: 0...12, using: &random))
                switch Int.random(in: 0...4, using: &random) {
                case 0: text.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case 1: text.removeSubrange(place..<end)
                case 2: text.insert(contentsOf: Array((words.randomElement(using: &random) ?? "").utf8), at: place)
                case 3: text.insert(contentsOf: text[place..<end], at: Int.random(in: 0...text.count, using: &random))
                default:
                    // Whole lines change their place: another structure of good parts.
                    var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
                    lines.swapAt(
                        Int.random(in: 0..<lines.count, using: &random), Int.random(in: 0..<lines.count, using: &random)
                    )
                    text = Array(lines.joined(separator: [0x0A]))
                }
            }
            do throws(ConfigReport) {
                let loaded = try ConfigLoader.load(
                    text: text, name: "x.yaml", files: files, environment: { Fixture.environment[$0] })
                accepted += 1
                #expect(loaded.configuration.validate().isEmpty, "seed \(seed)")
                _ = CanonicalForm.render(loaded.configuration, origins: loaded.origins)
            } catch {
                #expect(error.hasErrors, "seed \(seed)")
                for diagnostic in error.diagnostics {
                    #expect(diagnostic.range.start.line >= 1 && diagnostic.range.start.column >= 1, "seed \(seed)")
                    #expect(!diagnostic.problem.isEmpty && !diagnostic.fix.isEmpty, "seed \(seed)")
                }
                #expect(!error.render(color: true).isEmpty)
            }
        }
        #expect(accepted > 10, "the mutations are too wild to test anything, seed \(seed)")
    }
}

@Suite("Bounds of a load")
struct LoaderBoundsTests {
    @Test("a file beyond its bound, or deeper than its bound, is refused with a place")
    func yaml() {
        let deep = "x-deep: " + String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        let report = #expect(throws: ConfigReport.self) {
            try ConfigLoader.load(text: Array(deep.utf8), name: "x.yaml")
        }
        #expect(report?.diagnostics.map(\.code) == [.tooLarge])
        let large = [UInt8](repeating: 0x20, count: 16 * 1024 * 1024 + 1)
        let second = #expect(throws: ConfigReport.self) { try ConfigLoader.load(text: large, name: "x.yaml") }
        #expect(second?.diagnostics.map(\.code) == [.tooLarge])
    }

    @Test("includes are bounded in depth and in number")
    func includes() {
        struct Chain: FileReader {
            var width: Int
            func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
                let number = Int(path.dropLast(".yaml".count)) ?? 0
                let next = (1...width).map { "\(number * width + $0).yaml" }
                return Array("include: [\(next.joined(separator: ", "))]".utf8)
            }
        }
        let chain = #expect(throws: ConfigReport.self) {
            try ConfigLoader.load(path: "0.yaml", files: Chain(width: 1), environment: { _ in nil })
        }
        #expect(chain?.diagnostics.map(\.problem) == ["files include each other deeper than 8 levels"])
        #expect(chain?.files.count == 8)
        let tree = #expect(throws: ConfigReport.self) {
            try ConfigLoader.load(path: "0.yaml", files: Chain(width: 10), environment: { _ in nil })
        }
        #expect(tree?.files.count == 256)
    }

    @Test("a file beyond its bound is told with the bound, wherever it is named")
    func tooLarge() {
        struct Endless: FileReader {
            let main: String
            func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
                guard path == "x.yaml" else { throw .tooLarge(bytesMax: bytesMax) }
                return Array(main.utf8)
            }
        }
        func problems(_ path: String, _ main: String) -> [[String]]? {
            let report = #expect(throws: ConfigReport.self) {
                try ConfigLoader.load(path: path, files: Endless(main: main), environment: { _ in nil })
            }
            return report?.diagnostics.map { [$0.code.name, $0.problem, $0.fix] }
        }
        #expect(
            problems("/dev/zero", "") == [
                [
                    "too-large", "the file has more than 16MiB",
                    "name a configuration file; split a long one with 'include'",
                ]
            ])
        #expect(
            problems("x.yaml", "include: /dev/zero") == [
                [
                    "too-large", "the file '/dev/zero' has more than 16MiB",
                    "name a configuration file; split a long one into several",
                ]
            ])
        let listener = "listeners: [{ address: \":80\", forward: [127.0.0.1:1], name: \"file:/dev/zero\" }]"
        #expect(
            problems("x.yaml", listener) == [
                [
                    "too-large", "the file of 'file:/dev/zero' has more than 1MiB",
                    "name a file that holds this one value and nothing else",
                ]
            ])
    }

    @Test("a missing main file is an error of its own")
    func missing() {
        let report = #expect(throws: ConfigReport.self) {
            try ConfigLoader.load(
                path: "conf/poise.yaml", files: FolderReader(folder: "/nowhere"), environment: { _ in nil })
        }
        #expect(
            report?.render() == """
                conf/poise.yaml:1:1: error: the file cannot be read: No such file or directory [unreadable]
                help: check its path and permissions

                """)
    }

    @Test("10,000 targets in 1,000 groups load in the time of an apply")
    func large() throws {
        var text = "listeners:\n  - name: web\n    address: \":8080\"\n    rules:\n"
        for group in 0..<1000 {
            text += "      - { when: { host: \"h\(group).test\", path: \"/api/*\" }, forward: g\(group) }\n"
        }
        text += "    fixed_response: { status: 404 }\ntarget_groups:\n"
        for group in 0..<1000 {
            text +=
                "  - name: g\(group)\n    health_check: { path: /health, interval: 5s, timeout: 2s }\n    targets:\n"
            for target in 0..<10 { text += "      - 127.\(group / 250).\(group % 250).\(target + 1):7001\n" }
        }
        let bytes = Array(text.utf8)
        let clock = ContinuousClock()
        let start = clock.now
        let loaded = try ConfigLoader.load(text: bytes, name: "large.yaml")
        let elapsed = clock.now - start
        #expect(loaded.configuration.targetGroups.count == 1000)
        #expect(loaded.configuration.targetGroups.allSatisfy { $0.targets.count == 10 })
        #expect(loaded.warnings.diagnostics.isEmpty)
        // A wide bound, for debug builds on busy machines: what is quadratic by mistake takes minutes.
        #expect(elapsed < .seconds(20), "\(elapsed)")
        let canonical = CanonicalForm.render(loaded.configuration, origins: loaded.origins)
        #expect(
            try ConfigLoader.load(text: Array(canonical.utf8), name: "large.yaml").configuration == loaded.configuration
        )
    }
}

@Suite("Files that TLS settings name")
struct TLSFileTests {
    private let text = """
        listeners:
          - address: ":8443"
            protocol: HTTPS
            tls: { certificates: [{ certificate: files/tls/shop.pem, key: files/tls/shop.key,
                     passphrase_file: files/tls/shop.pass, ocsp_file: files/tls/shop.ocsp }, files/tls/bundle.pem] }
            forward: app
        target_groups:
          - { name: app, targets: ["127.0.0.1:1"], protocol: HTTPS, tls: { ca_file: files/tls/ca.pem } }
        """

    @Test("are read whole and once, and given to whoever understands them")
    func contents() throws {
        final class Seen {
            var certificates: [CertificateContents] = []
            var authorities: [[UInt8]] = []
        }
        let seen = Seen()
        let files = FolderReader(folder: Fixture.folder, workingFolder: "/etc/poise")
        let check = TLSFileCheck(
            reader: files,
            certificate: {
                seen.certificates.append($0)
                return []
            },
            authorities: {
                seen.authorities.append($0)
                return []
            })
        let loaded = try ConfigLoader.load(text: Array(text.utf8), name: "x.yaml", files: files, tlsFiles: check)
        #expect(seen.certificates.map(\.files) == loaded.configuration.listeners[0].tls?.certificates)
        let (first, second) = (try #require(seen.certificates.first), try #require(seen.certificates.last))
        #expect(first.certificate == Array("certificate, chain\n".utf8))
        #expect(first.key == Array("key\n".utf8))
        // Its first line, without the line end of another system.
        #expect(first.passphrase == Array("correct horse".utf8))
        #expect(first.ocsp == Array("response\n".utf8))
        #expect(second.certificate == Array("certificate, chain, key\n".utf8))
        #expect(second.key == nil && second.passphrase == nil && second.ocsp == nil)
        #expect(seen.authorities == [Array("authorities\n".utf8)])
    }

    @Test("are not opened unless somebody asks")
    func unopened() throws {
        let nowhere = FolderReader(folder: "/nowhere", workingFolder: "/etc/poise")
        let loaded = try ConfigLoader.load(text: Array(text.utf8), name: "x.yaml", files: nowhere)
        #expect(loaded.configuration.targetGroups[0].tls?.authorityFile == "/etc/poise/files/tls/ca.pem")
    }

    @Test("are relative to the file that names them, and to nothing else")
    func relative() throws {
        func problems(_ name: String, folder: String) throws -> [String] {
            let files = FolderReader(folder: "/nowhere", workingFolder: folder)
            do throws(ConfigReport) {
                let loaded = try ConfigLoader.load(text: Array(text.utf8), name: name, files: files)
                return loaded.configuration.listeners[0].tls?.certificates.last.map { [$0.certificate] } ?? []
            } catch {
                return error.diagnostics.map(\.problem)
            }
        }
        #expect(try problems("x.yaml", folder: "/etc/poise") == ["/etc/poise/files/tls/bundle.pem"])
        #expect(try problems("./conf/x.yaml", folder: "/etc/poise") == ["/etc/poise/conf/files/tls/bundle.pem"])
        #expect(try problems("../x.yaml", folder: "/etc/poise") == ["/etc/poise/../files/tls/bundle.pem"])
        #expect(try problems("/srv//x.yaml", folder: "") == ["/srv/files/tls/bundle.pem"])
        let refused = try problems("conf/x.yaml", folder: "")
        #expect(refused.count == 6)
        #expect(refused.allSatisfy { $0.hasSuffix("is relative, and this text lies in no folder") })
    }
}

@Suite("The report of errors")
struct ConfigReportTests {
    private func report(_ text: String) throws -> ConfigReport {
        try #require(throws: ConfigReport.self) { try ConfigLoader.load(text: Array(text.utf8), name: "x.yaml") }
    }

    @Test("colours are by option, and nothing else differs")
    func colors() throws {
        let report = try report("listner: []\n")
        let plain = report.render()
        let colored = report.render(color: true)
        #expect(plain.contains("\u{1B}") == false)
        #expect(colored.contains("\u{1B}[1;31merror:\u{1B}[0m"))
        #expect(colored.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain)
    }

    @Test("a tab stays a tab before the caret, and control bytes of a value cannot reach the terminal")
    func control() throws {
        let report = try report("listeners:\n  - {\taddress: \"\\e[2J\", forward: a}\n")
        #expect(
            report.render().hasPrefix(
                "x.yaml:2:16: error: '\\u{1B}[2J' has no port [missing]\n"
                    + "  - {\taddress: \"\\e[2J\", forward: a}\n     \t         ^~~~~~~\n"))
    }

    @Test("a very long line is shown in part")
    func long() throws {
        let report = try report(
            "listeners: [{ address: \"\(String(repeating: "x", count: 5000))\", nmae: x, forward: [\"1.2.3.4:1\"] }]\n"
        )
        let lines = report.render().split(separator: "\n")
        #expect(lines.allSatisfy { $0.count < 700 })
        let caret = try #require(lines.last { $0.contains("^") })
        let source = try #require(lines.last { $0.contains("nmae") && !$0.contains("error") })
        #expect(source.count <= 200)
        #expect(source.dropFirst(caret.prefix { $0 == " " }.count).hasPrefix("nmae"))
        #expect(caret.hasSuffix("^~~~"))
    }
}

@Suite("A configuration from the command line")
struct CommandLineFormTests {
    @Test("is the smallest file")
    func same() throws {
        let file = """
            listeners:
              - address: [":8080", "127.0.0.1:9090"]
                forward: [127.0.0.1:7001, "unix:/run/a.sock"]
            """
        let fromFile = try ConfigLoader.load(text: Array(file.utf8), name: "x.yaml").configuration
        #expect(
            try CommandLineForm.load(listen: [":8080,127.0.0.1:9090"], to: ["127.0.0.1:7001,unix:/run/a.sock"])
                .configuration == fromFile)
        #expect(
            try CommandLineForm.load(
                listen: [":8080", "127.0.0.1:9090"], to: ["127.0.0.1:7001", "unix:/run/a.sock"]
            ).configuration == fromFile)
    }

    @Test("errors point into the command line")
    func errors() throws {
        let report = try #require(throws: ConfigReport.self) {
            try CommandLineForm.load(
                listen: [":808x", ":80,0.0.0.0:80"], to: ["127.0.0.1:1,web", "127.0.0.1:1"])
        }
        #expect(
            report.render() == """
                command line:1:10: error: '808x' is not a port [invalid]
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                         ^~~~~
                help: use a number from 0 to 65535
                command line:1:29: error: 0.0.0.0:80 is already part of :80 [duplicate]
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                                            ^~~~~~~~~~
                help: remove one of the two, or use another port
                command line:1:25: note: the other one is here
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                                        ^~~
                command line:1:57: error: 'web' has no port [missing]
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                                                                        ^~~
                help: add one: web:80
                command line:1:66: error: 127.0.0.1:1 is in this group twice [duplicate]
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                                                                                 ^~~~~~~~~~~
                help: list it once; a weight gives it a greater share
                command line:1:45: note: the other one is here
                --listen :808x --listen :80,0.0.0.0:80 --to 127.0.0.1:1,web --to 127.0.0.1:1
                                                            ^~~~~~~~~~~

                """)
    }

    @Test("with certificates its protocol is HTTPS, and paths are seen from the caller's folder")
    func tls() throws {
        let file = """
            listeners:
              - address: ":8443"
                protocol: HTTPS
                tls: { certificates: [{ certificate: certs/a.pem, key: /b.key }, self-signed, c.pem] }
                forward: [127.0.0.1:7001]
            """
        let files = FolderReader(folder: "/nowhere", workingFolder: "/srv/me")
        let fromFile = try ConfigLoader.load(text: Array(file.utf8), name: "x.yaml", files: files).configuration
        let configuration = try CommandLineForm.load(
            listen: [":8443"], to: ["127.0.0.1:7001"], tls: ["certs/a.pem,/b.key", "self-signed", "./c.pem"],
            files: files
        ).configuration
        #expect(configuration == fromFile)
        #expect(configuration.listeners[0].id == "HTTPS :8443")
        #expect(
            configuration.listeners[0].tls?.certificates == [
                CertificateFiles(certificate: "/srv/me/certs/a.pem", key: "/b.key"), .selfSigned,
                CertificateFiles(certificate: "/srv/me/c.pem"),
            ])
    }

    @Test("a certificate that cannot be is an error in the command line")
    func tlsErrors() throws {
        let files = FolderReader(folder: Fixture.folder, workingFolder: "/etc/poise")
        let report = try #require(throws: ConfigReport.self) {
            try CommandLineForm.load(
                listen: [":1"], to: ["127.0.0.1:1"], tls: ["a,b,c", "", "no.pem", "files/tls/shop.pem,no.key"],
                files: files, tlsFiles: TLSFileCheck(reader: files))
        }
        let line = "--listen :1 --tls a,b,c --tls  --tls no.pem --tls files/tls/shop.pem,no.key --to 127.0.0.1:1"
        #expect(
            report.render() == """
                command line:1:23: error: 'c' is one file too many [invalid]
                \(line)
                                      ^
                help: write --tls CERTIFICATE.pem,KEY.pem, and --tls again for another certificate
                command line:1:31: error: the path is empty [invalid]
                \(line)
                                              ^
                help: write the path of a file
                command line:1:38: error: the file '/etc/poise/no.pem' cannot be read: No such file or directory [unreadable]
                \(line)
                                                     ^~~~~~
                help: check the path and its permissions
                command line:1:70: error: the file '/etc/poise/no.key' cannot be read: No such file or directory [unreadable]
                \(line)
                                                                                     ^~~~~~
                help: check the path and its permissions

                """)
    }

    @Test(
        "neither option may be missing or empty",
        arguments: [([], ["127.0.0.1:1"]), ([":80"], []), ([""], [""]), ([], [])] as [([String], [String])])
    func empty(listen: [String], to: [String]) {
        #expect(throws: ConfigReport.self) { try CommandLineForm.load(listen: listen, to: to) }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
