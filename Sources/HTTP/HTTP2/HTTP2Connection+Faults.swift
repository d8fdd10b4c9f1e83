/// What happens to a peer that breaks the rules.
extension HTTP2Connection {
    /// A connection error: GOAWAY, and nothing more. §5.4.1
    @usableFromInline mutating func refuse(
        _ code: HTTP2ErrorCode, _ fault: HTTP2Fault, _ workspace: inout HTTP2Workspace
    ) -> Event {
        guard phase != .failed else { return .refusedConnection(failureCode, failure) }
        putGoAway(Swift.min(lastProcessed, lastPeerStream), code, &workspace)
        phase = .failed
        block = []
        (failureCode, failure) = (code, fault)
        return .refusedConnection(code, fault)
    }

    /// Takes the price of a fault out of the budget.
    /// - Returns: nil as long as there is some left.
    mutating func charge(_ fault: HTTP2Fault, _ workspace: inout HTTP2Workspace) -> Event? {
        budget.charge(fault) ? nil : refuse(.enhanceYourCalm, fault, &workspace)
    }

    /// A stream error: RST_STREAM. §5.4.2
    ///
    /// Resets that the peer provokes cost it as much as those that it sends: work for us that it does not wait for.
    mutating func failStream(
        _ slot: Int, _ code: HTTP2ErrorCode, _ fault: HTTP2Fault, _ workspace: inout HTTP2Workspace
    ) -> Event {
        writeReset(slot, code, &workspace)
        return charge(.madeYouReset, &workspace) ?? .streamFailed(slot: slot, code, fault)
    }
}
