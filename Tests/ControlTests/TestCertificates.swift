import Glibc
import PoisePlatform
import PoiseTLS

/// Certificates of one run, made by the `openssl` command: nothing in the repository expires.
struct TestCertificates: Sendable {
    /// PEM of the authority of all that are issued here, and of one that issued none of them.
    let authority: [UInt8]
    let stranger: [UInt8]
    /// For `target.test` and 127.0.0.1.
    let good: Certificate
    let expired: Certificate
    let notYetValid: Certificate

    static let shared = TestCertificates()

    private init() {
        var template = Array("/tmp/poise-certificates-XXXXXX\0".utf8.map { CChar(bitPattern: $0) })
        precondition(unsafe mkdtemp(&template) != nil, "no folder for certificates")
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = unsafe system("rm -r \(folder)") }
        let made = unsafe system("cd \(folder) && exec sh -e 2>log <<'end'\n\(Self.script)\nend")
        precondition(made == 0, "openssl: \(Self.text("\(folder)/log"))")
        authority = Self.bytes("\(folder)/authority.pem")
        stranger = Self.bytes("\(folder)/stranger.pem")
        (good, expired) = (Self.load("\(folder)/good"), Self.load("\(folder)/expired"))
        notYetValid = Self.load("\(folder)/later")
    }

    private static let script = """
        cat >ca.conf <<'conf'
        [ca]
        default_ca = here
        [here]
        database = index
        serial = serial
        new_certs_dir = .
        default_md = sha256
        policy = any
        unique_subject = no
        [any]
        commonName = supplied
        [leaf]
        basicConstraints = critical,CA:FALSE
        subjectAltName = DNS:target.test,IP:127.0.0.1
        conf
        : >index
        echo 01 >serial
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc'
        for name in authority stranger; do
            openssl req -x509 $key -keyout $name.key -out $name.pem -days 2 -subj "/CN=$name"
        done
        issue() {
            openssl req $key -keyout $1.key -out $1.csr -subj "/CN=$1"
            openssl ca -batch -notext -config ca.conf -extensions leaf -cert authority.pem -keyfile authority.key \\
                -in $1.csr -out $1.pem -startdate $2 -enddate $3
        }
        issue good 20200101000000Z 20990101000000Z
        issue expired 20200101000000Z 20210101000000Z
        issue later 20980101000000Z 20990101000000Z
        """

    private static func load(_ base: String) -> Certificate {
        let input = CertificateLoader.Input(certificate: bytes("\(base).pem"), key: bytes("\(base).key"))
        let output = CertificateLoader.load(input, now: Clock.wall / 1_000_000_000)
        guard let certificate = output.certificate else { preconditionFailure("\(base): \(output.problems)") }
        return certificate
    }

    private static func bytes(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else { preconditionFailure("no \(path)") }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }

    private static func text(_ path: String) -> String { String(decoding: bytes(path), as: UTF8.self) }
}
