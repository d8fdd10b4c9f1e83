// rooms: Model Platform Loop TLS
import PoiseLoop
import PoisePlatform
import PoiseTLS

/// Any bytes as a client's first, in any pieces: the server waits for more, answers by an alert, or knows plain HTTP; it
/// holds no buffer afterwards, and its reading of names and protocols is OpenSSL's.
///
/// The first byte chooses the server, and with its bit 5 a kernel that takes little at once; the second one how the bytes
/// arrive. With bit 7 of the first byte the rest is a server's name, a list of protocols and further extensions, which
/// are put into a hello that is whole: few changes to a whole one leave its lengths true.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func clientHello(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe input(start, count)
    guard input.count >= 2 else { return 0 }
    let rest = Array(input[2...])
    let isBuilt = input[0] & 0x80 != 0
    let hello = isBuilt ? BuiltHello(rest).record : rest
    checkName(isBuilt ? BuiltHello(rest).name : rest, HelloServer.context(for: input[0]).certificates)
    answer(hello, setup: input[0], seed: input[1])
    return 0
}

private func answer(_ hello: [UInt8], setup: UInt8, seed: UInt8) {
    let server = HelloServer.context(for: setup)
    let system = HelloSystem(hello, seed: seed, sendMax: setup & 0x20 != 0 ? 700 : .max)
    let loop = EventLoop(simulation: system)
    let channel = Channel(loop: loop)
    channel.open(FileDescriptor(adopting: 0))
    let session = TLSSession(server: server, engine: TLSEngine(loop: loop))
    defer {
        session.free()
        channel.close()
        loop.step(at: loop.now, [])
        precondition(loop.buffers.outstanding == 0, "a session that is gone holds a buffer")
    }
    // A turn ends after a few receives, a piece or a refusal of the kernel: there are fewer than this.
    for _ in 0...(3 * hello.count + 100) {
        switch session.handshake(channel) {
        case .done: preconditionFailure("a handshake over without its client")
        case .failed(let failure): return check(failure, system, hello)
        case .blocked(wantsWritable: true): precondition(session.hasUnsent, "waits for a kernel that took all")
        case .blocked(wantsWritable: false):
            precondition(!session.hasUnsent)
            guard system.isDrained else {
                system.arrive()
                continue
            }
            precondition(loop.buffers.outstanding == 0, "a session that waits holds a buffer")
            checkWaiting(session, server, system.sent, setup)
            guard !system.hasEnded else { preconditionFailure("waits for what cannot come") }
            system.hasEnded = true
        }
    }
    preconditionFailure("a handshake that goes on for ever")
}

/// What was answered is whole records of a handshake, and rests on what the client said.
private func checkWaiting(_ session: TLSSession, _ server: TLSServerContext, _ sent: [UInt8], _ setup: UInt8) {
    let kinds = recordKinds(in: sent)
    precondition(kinds.allSatisfy { (20...23).contains($0) }, "sent what is no record")
    // No answer yet: OpenSSL has not told whether it agrees.
    guard kinds.first == 22 else {
        precondition(sent.isEmpty || kinds.allSatisfy { $0 == 21 }, "begins with no hello")
        return
    }
    let choice = session.serverName.map { server.certificates.choice(forHost: $0) } ?? 0
    precondition(session.certificateChoice == choice, "a certificate of another name than OpenSSL reads")
    switch (HelloServer.alpn(for: setup), session.applicationProtocol) {
    case (.none, .http11), (.none, .http2): preconditionFailure("a protocol without ALPN")
    case (.http1Only, .http2), (.http2Only, .http11): preconditionFailure("a protocol that is not offered")
    default: break
    }
}

/// The client is told, unless it speaks something else or was the one to complain.
private func check(_ failure: TLSFailure, _ system: HelloSystem, _ hello: [UInt8]) {
    let sent = system.sent
    precondition(!failure.description.isEmpty)
    switch failure.reason {
    case .plainHTTP:
        precondition(sent.isEmpty, "an alert before an answer in plain text")
        precondition(hello.first.map { (0x41...0x5A).contains($0) } ?? false, "no method")
    case .notTLS: precondition(sent.isEmpty, "an alert to who cannot read it")
    case .peerClosed: break
    case .socket: preconditionFailure("the socket did not fail")
    default:
        // Behind the first flight of TLS 1.3, an alert is encrypted. It goes as far as the kernel takes it at once.
        let last = recordKinds(in: sent).last
        let isTold = last == 21 || last == 23 || system.hasRefused
        precondition(isTold || recordKinds(in: hello).contains(21), "\(failure): no alert")
    }
}

/// The content type of each record, whose version is the client's where that is no known one; 0 behind the last, where something is left that is none. RFC 8446 §5.1
private func recordKinds(in bytes: [UInt8]) -> [UInt8] {
    var kinds: [UInt8] = []
    var at = 0
    while at < bytes.count {
        guard at + 5 <= bytes.count else { return kinds + [0] }
        let count = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
        guard at + 5 + count <= bytes.count else { return kinds + [0] }
        kinds.append(bytes[at])
        at += 5 + count
    }
    return kinds
}

/// Our reading of a `server_name` extension against one that is written differently.
private func checkName(_ content: [UInt8], _ store: CertificateStore) {
    let choice = unsafe content.withUnsafeBufferPointer { unsafe store.choice(forServerNameExtension: $0) }
    // A list of one host name, all of it.
    let count = content.count - 5
    guard count > 0, content[2] == 0, Int(content[3]) * 256 + Int(content[4]) == count else { return }
    precondition(choice == store.choice(forHost: String(decoding: content.suffix(count), as: UTF8.self)))
}

/// A hello with all that the servers need to agree, and in it the input's parts.
private struct BuiltHello {
    let name: [UInt8]
    let record: [UInt8]

    /// The parts, each behind its length in one byte but the last.
    init(_ parts: [UInt8]) {
        var rest = parts[...]
        func take() -> [UInt8] {
            let count = Int(rest.popFirst() ?? 0)
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        (name, record) = {
            let (name, protocols) = (take(), take())
            var extensions: [UInt8] = []
            if !name.isEmpty { extensions += Self.block(0, name) }
            if !protocols.isEmpty { extensions += Self.block(16, protocols) }
            // Groups, signatures, versions, a key for X25519. RFC 8446 §4.2
            extensions += Self.block(10, [0, 4, 0, 29, 0, 23])
            extensions += Self.block(13, [0, 8, 4, 3, 8, 4, 4, 1, 2, 1])
            extensions += Self.block(43, [4, 3, 4, 3, 3])
            extensions += Self.block(51, [0, 36, 0, 29, 0, 32] + [UInt8](repeating: 9, count: 32))
            extensions += rest.prefix(12_000)
            let random = [UInt8](repeating: 7, count: 32)
            let suites: [UInt8] = [0x13, 0x01, 0xC0, 0x2B, 0xC0, 0x2F]
            let body = [3, 3] + random + [0, 0, 6] + suites + [1, 0] + Self.length(extensions.count) + extensions
            return (name, [22, 3, 1] + Self.length(body.count + 4) + [1, 0] + Self.length(body.count) + body)
        }()
    }

    private static func block(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
        [0, type] + length(content.count) + content
    }

    private static func length(_ count: Int) -> [UInt8] { [UInt8(count >> 8 & 255), UInt8(count & 255)] }
}
