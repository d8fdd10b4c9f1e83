// rooms: Model Platform Loop TLS
import PoiseTLS

/// Certificate files of any bytes: they give a certificate or at least one problem in words, and a certificate tells the
/// same facts when it is used again. With `#` as the first byte the rest up to the next `#` is the passphrase.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func pemLoading(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = unsafe input(start, count)
    var passphrase: [UInt8]?
    if bytes.first == 0x23, let end = bytes.dropFirst().firstIndex(of: 0x23) {
        passphrase = Array(bytes[1..<end])
        bytes = Array(bytes[(end + 1)...])
    }
    // Any expiry lies between these two.
    for now: Int64 in [0, 1 << 40] {
        let output = CertificateLoader.load(.init(certificate: bytes, passphrase: passphrase), now: now)
        precondition(output.problems.allSatisfy { !$0.description.isEmpty })
        guard let certificate = output.certificate else {
            precondition(output.problems.contains { !$0.isWarning }, "refused without a reason")
            continue
        }
        precondition(output.problems.allSatisfy(\.isWarning), "a problem and a certificate")
        precondition(certificate.fingerprint.utf8.count == 64)
        let store = CertificateStore([certificate])
        let again = CertificateLoader.load(
            .init(certificate: bytes, passphrase: passphrase), now: now, reusing: store)
        precondition(again.certificate === certificate && again.problems == output.problems)
        for name in certificate.names where !name.hasPrefix("*.") { precondition(store.choice(forHost: name) == 0) }
    }
    return 0
}
