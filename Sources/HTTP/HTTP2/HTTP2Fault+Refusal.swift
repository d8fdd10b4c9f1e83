extension Refusal {
    /// What HTTP/1 calls an answer that is malformed in this way; `nil` for faults that are no answer's.
    public init?(malformed fault: HTTP2Fault) {
        let reason: Reason
        switch fault {
        case .badFieldName: reason = .badFieldName
        case .badFieldValue: reason = .controlByte
        case .connectionField, .badTE: reason = .badConnectionOption
        case .badPseudoField, .pseudoFieldOrder, .missingPseudoField, .badStatus, .badInformational, .dataBeforeHead:
            reason = .badStatusLine
        case .badContentLength, .contentLengthMismatch: reason = .badContentLength
        case .headTooLarge: reason = .headTooLarge
        case .tooManyFields: reason = .tooManyFields
        default: return nil
        }
        self.init(status: 502, reason: reason)
    }
}
