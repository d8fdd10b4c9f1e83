import PoiseModel

/// A request as its client means it, and what became of it.
final class RequestPlan {
    enum Framing { case none, length, chunked }

    let id: Int
    let method: String
    let isHTTP10: Bool
    let framing: Framing
    let bodyOffset: Int
    let bodyCount: Int
    var expectsContinue = false
    /// Asks for another protocol.
    var tunnel: TunnelPlan?
    /// As X-Forwarded-For must tell.
    var clientAddress = ""
    /// The client's connection, by ``Ledger/addConnection()``.
    var connection = -1
    /// By HTTP/2.
    var isMultiplexed = false
    var hasTrailers = false
    /// Heads of it that reached targets, less those that were refused.
    var seen = 0
    /// How often HTTP/2 targets refused it untouched: it may be sent again.
    var refusals = 0
    /// Its client was told that it is not processed: no target may see it.
    var isDisowned = false

    init(id: Int, method: String, isHTTP10: Bool, framing: Framing, bodyOffset: Int, bodyCount: Int) {
        (self.id, self.method, self.isHTTP10, self.framing) = (id, method, isHTTP10, framing)
        (self.bodyOffset, self.bodyCount) = (bodyOffset, bodyCount)
    }

    /// RFC 9110 §9.2.2
    var isIdempotent: Bool { method != "POST" && method != "PATCH" }
}

/// What goes through a tunnel, cut out of ``Bytes`` for either direction.
struct TunnelPlan {
    typealias Part = (offset: Int, count: Int)
    let up: Part
    let down: Part
    /// The client does not wait for the 101 before it sends.
    var isEager = false
    /// The target says nothing before the client has finished.
    var isInTurn = false
}

/// An answer as its target means it.
final class AnswerPlan {
    enum Framing { case length, chunked, untilClose }

    let number: Int
    let requestID: Int
    let target: Int
    let status: Int
    let framing: Framing
    let bodyOffset: Int
    let bodyCount: Int
    /// Ends before its end, or breaks its own framing: nobody may take it for whole.
    let isCut: Bool
    var hasTrailers = false

    init(
        number: Int, requestID: Int, target: Int, status: Int, framing: Framing, bodyOffset: Int, bodyCount: Int,
        isCut: Bool
    ) {
        (self.number, self.requestID, self.target, self.status) = (number, requestID, target, status)
        (self.framing, self.bodyOffset, self.bodyCount, self.isCut) = (framing, bodyOffset, bodyCount, isCut)
    }
}

/// All requests and answers of a run, by number.
struct Ledger {
    private(set) var requests: [RequestPlan] = []
    private(set) var answers: [AnswerPlan] = []

    private var connections = 0

    /// - Returns: a number that no other has.
    mutating func addConnection() -> Int {
        connections += 1
        return connections
    }

    mutating func add(_ make: (_ id: Int) -> RequestPlan) -> RequestPlan {
        let plan = make(requests.count)
        requests.append(plan)
        return plan
    }

    mutating func addAnswer(_ make: (_ number: Int) -> AnswerPlan) -> AnswerPlan {
        let plan = make(answers.count)
        answers.append(plan)
        return plan
    }

    func request(_ text: Substring) -> RequestPlan? {
        Int(text).flatMap { requests.indices.contains($0) ? requests[$0] : nil }
    }
    func answer(_ text: String) -> AnswerPlan? {
        Int(text).flatMap { answers.indices.contains($0) ? answers[$0] : nil }
    }
}
