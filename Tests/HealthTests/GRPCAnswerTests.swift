import PoiseModel
import Testing

@testable import PoiseHealth

@Suite("The answer of grpc.health.v1")
struct GRPCAnswerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status = 200
        var head = "content-type: application/grpc\r\n\r\n"
        var content: [UInt8] = []
        /// `nil`: the head was all.
        var trailers: String? = "grpc-status: 0\r\n\r\n"
        var codes: [ClosedRange<Int>] = [0...0]
        var verdict: ProbeMatcher.Verdict
        var text: String
    }

    private static func frame(_ message: [UInt8]) -> [UInt8] { [0, 0, 0, 0, UInt8(message.count)] + message }

    @Test(
        "is judged by code and message, and says what it was",
        arguments: [
            Row(testDescription: "serving", content: frame([8, 1]), verdict: .succeeded, text: "SERVING"),
            Row(
                testDescription: "other content types of gRPC", head: "Content-Type: application/grpc+proto\r\n\r\n",
                content: frame([8, 1]), verdict: .succeeded, text: "SERVING"),
            Row(
                testDescription: "not serving", content: frame([8, 2]), verdict: .failed(.notServing),
                text: "NOT_SERVING"),
            Row(
                testDescription: "service unknown", content: frame([8, 3]), verdict: .failed(.notServing),
                text: "SERVICE_UNKNOWN"),
            Row(
                testDescription: "unknown is 0 and left out", content: frame([]), verdict: .failed(.notServing),
                text: "UNKNOWN"),
            Row(
                testDescription: "a status of a later version", content: frame([8, 9]), verdict: .failed(.notServing),
                text: "serving status 9"),
            Row(
                testDescription: "fields of a later version",
                content: frame([0x12, 2, 65, 66, 0x1D, 1, 2, 3, 4, 8, 1]),
                verdict: .succeeded, text: "SERVING"),
            Row(
                testDescription: "unimplemented", head: "content-type: application/grpc\r\ngrpc-status: 12\r\n\r\n",
                trailers: nil, verdict: .failed(.responseMismatch), text: "grpc-status 12 UNIMPLEMENTED"),
            Row(
                testDescription: "unimplemented is asked for",
                head: "content-type: application/grpc\r\ngrpc-status: 12\r\n\r\n", trailers: nil,
                codes: [0...0, 12...12],
                verdict: .succeeded, text: "grpc-status 12 UNIMPLEMENTED"),
            Row(
                testDescription: "any code is good, but 0 without SERVING is not", content: frame([8, 2]),
                codes: [0...99],
                verdict: .failed(.notServing), text: "NOT_SERVING"),
            Row(
                testDescription: "unavailable",
                trailers: "grpc-status: 14\r\ngrpc-message: db%20%e2%9c%93 down%\r\n\r\n",
                verdict: .failed(.responseMismatch), text: "grpc-status 14 UNAVAILABLE: db ??? down%"),
            Row(
                testDescription: "a code without a name", trailers: "grpc-status: 77\r\n\r\n",
                verdict: .failed(.responseMismatch), text: "grpc-status 77"),
            Row(
                testDescription: "a code that is none", trailers: "grpc-status: 100\r\n\r\n",
                verdict: .failed(.malformedResponse), text: "gRPC: no grpc-status"),
            Row(
                testDescription: "no status", content: frame([8, 1]), trailers: "x: 1\r\n\r\n",
                verdict: .failed(.malformedResponse), text: "gRPC: no grpc-status"),
            Row(
                testDescription: "no message", verdict: .failed(.malformedResponse),
                text: "gRPC: not a HealthCheckResponse"),
            Row(
                testDescription: "compressed", content: [1] + frame([8, 1]).dropFirst(),
                verdict: .failed(.malformedResponse), text: "gRPC: not a HealthCheckResponse"),
            Row(
                testDescription: "cut in the message", content: [0, 0, 0, 0, 9, 8, 1],
                verdict: .failed(.malformedResponse), text: "gRPC: not a HealthCheckResponse"),
            Row(
                testDescription: "two messages", content: frame([8, 1]) + frame([8, 1]),
                verdict: .failed(.malformedResponse), text: "gRPC: not a HealthCheckResponse"),
            Row(
                testDescription: "a page", head: "content-type: text/html\r\n\r\n", verdict: .failed(.responseMismatch),
                text: "not gRPC: another content-type"),
            Row(
                testDescription: "a proxy's answer", status: 503, head: "content-type: text/html\r\n\r\n",
                verdict: .failed(.responseMismatch), text: "not gRPC: status 503"),
        ])
    func judges(row: Row) {
        var answer = GRPCAnswer()
        answer.head(status: row.status, fields: Array(row.head.utf8))
        // Byte by byte: how it was cut does not matter.
        for byte in row.content {
            let piece = [byte]
            let isTaken = answer.content(piece.span)
            #expect(isTaken)
        }
        if let trailers = row.trailers { answer.trailers(Array(trailers.utf8)) }
        let verdict = answer.end(codes: row.codes)
        #expect(verdict == row.verdict)
        #expect(answer.text == row.text)
    }

    @Test("more than a health answer can have is not kept")
    func bounded() {
        var answer = GRPCAnswer()
        let piece = [UInt8](repeating: 0, count: 600)
        let isFirstTaken = answer.content(piece.span)
        let isSecondTaken = answer.content(piece.span)
        #expect(isFirstTaken && !isSecondTaken)
        answer.trailers(Array("grpc-message: \(String(repeating: "x", count: 5000))\r\n\r\n".utf8))
        #expect(answer.message.utf8.count == 200)
    }

    @Test("the request as protocol buffers have it")
    func request() {
        #expect(GRPCAnswer.request(service: "") == [0, 0, 0, 0, 0])
        #expect(GRPCAnswer.request(service: "a.B") == [0, 0, 0, 0, 5, 0x0A, 3, 0x61, 0x2E, 0x42])
        let long = GRPCAnswer.request(service: String(repeating: "x", count: 200))
        #expect(Array(long[0..<8]) == [0, 0, 0, 0, 203, 0x0A, 0xC8, 0x01] && long.count == 208)
    }

    @Test("messages of any bytes are read to their end or refused", arguments: 1...6)
    func mutations(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<5000 {
            let message = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let status = GRPCAnswer.servingStatus(Self.frame(message))
            #expect(status.map { $0 >= 0 } ?? true, "seed \(seed): \(message)")
        }
    }
}
