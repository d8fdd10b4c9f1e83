import Foundation
import Testing

/// By the name of the file in `Targets`, which is also that of the folder in `Seeds`.
private let targets: [String: @Sendable ([UInt8]) -> CInt] = [
    "chunked": { unsafe call(chunked, $0) }, "client-hello": { unsafe call(clientHello, $0) },
    "dns-message": { unsafe call(dnsMessage, $0) }, "hpack": { unsafe call(hpack, $0) },
    "http2-client": { unsafe call(http2Client, $0) }, "http2-server": { unsafe call(http2Server, $0) },
    "load-report": { unsafe call(loadReport, $0) }, "pem-loading": { unsafe call(pemLoading, $0) },
    "probe-answers": { unsafe call(probeAnswers, $0) },
    "proxy-protocol": { unsafe call(proxyProtocol, $0) },
    "request-head": { unsafe call(requestHead, $0) }, "response-head": { unsafe call(responseHead, $0) },
    "uri": { unsafe call(uri, $0) }, "yaml": { unsafe call(yaml, $0) },
]

/// As libFuzzer calls it.
private func call(_ target: (UnsafePointer<UInt8>?, Int) -> CInt, _ bytes: [UInt8]) -> CInt {
    // SAFETY: the target reads that many bytes, during the call only.
    unsafe bytes.withUnsafeBufferPointer { unsafe target($0.baseAddress, $0.count) }
}

private let fuzz = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

private func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: fuzz.appending(path: folder).path).sorted()
}

/// An invariant that does not hold traps: the line before in the output names the seed.
@Suite("Fuzz targets without a fuzzer")
struct SeedTests {
    @Test("every target is replayed, and has seeds")
    func complete() throws {
        #expect(try names(in: "Targets") == targets.keys.sorted().map { "\($0).swift" })
        #expect(try names(in: "Seeds") == targets.keys.sorted())
    }

    @Test(
        "every seed, and every shorter beginning of it",
        arguments: [
            "chunked", "client-hello", "dns-message", "hpack", "http2-client", "http2-server", "load-report",
            "pem-loading", "probe-answers", "proxy-protocol", "request-head", "response-head", "uri", "yaml",
        ])
    func seeds(target: String) throws {
        let run = try #require(targets[target])
        let seeds = try names(in: "Seeds/\(target)")
        #expect(!seeds.isEmpty)
        for seed in seeds {
            FileHandle.standardError.write(Data("seed \(target)/\(seed) and its beginnings\n".utf8))
            let bytes = [UInt8](try Data(contentsOf: fuzz.appending(path: "Seeds/\(target)/\(seed)")))
            // A configuration, a key or a handshake takes a millisecond: only a few of its beginnings.
            let isSlow = ["client-hello", "yaml", "pem-loading"].contains(target)
            let step = max(1, bytes.count / (isSlow ? 8 : 256))
            for count in Array(stride(from: 0, to: bytes.count, by: step)) + [bytes.count] {
                #expect(run(Array(bytes[..<count])) == 0)
            }
        }
    }
}
