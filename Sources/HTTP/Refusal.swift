/// Why a message was refused, and the status that answers it. Close the connection: its framing is in doubt.
public struct Refusal: Error, Sendable, Hashable {
    /// Status of the answer to a client; 502 for what a target sent.
    public let status: Int
    public let reason: Reason

    public init(_ reason: Reason) { (status, self.reason) = (reason.status, reason) }
    public init(status: Int, reason: Reason) { (self.status, self.reason) = (status, reason) }

    /// One word per fault, for logs and metrics.
    public enum Reason: UInt8, Sendable, CaseIterable {
        // Bytes that have no place where they stand.
        case bareCR, bareLF, nul, controlByte
        // The start line.
        case tlsClientHello, badMethod, badRequestLine, badStatusLine, http09, versionNotSupported
        case badTarget, fragment, badPercentEncoding, uriTooLong
        // Field lines.
        case obsFold, emptyFieldName, spaceBeforeColon, badFieldName, headTooLarge, tooManyFields
        // Framing.
        case contentLengthAndTransferEncoding, repeatedContentLength, badContentLength
        case repeatedTransferEncoding, badTransferEncoding, unsupportedTransferCoding, transferEncodingInHTTP10
        // Routing and connection.
        case missingHost, duplicateHost, badHost, badConnectionOption, unknownExpectation
        // Chunked content.
        case badChunkSize, chunkTooLarge, chunkLineTooLong, chunkOverhead, badChunkEnd, trailersTooLarge

        /// As in `reason=` of logs and metrics.
        public var name: String {
            switch self {
            case .bareCR: "bare_cr"
            case .bareLF: "bare_lf"
            case .nul: "nul"
            case .controlByte: "control_byte"
            case .tlsClientHello: "tls_client_hello"
            case .badMethod: "bad_method"
            case .badRequestLine: "bad_request_line"
            case .badStatusLine: "bad_status_line"
            case .http09: "http_0_9"
            case .versionNotSupported: "version_not_supported"
            case .badTarget: "bad_target"
            case .fragment: "fragment"
            case .badPercentEncoding: "bad_percent_encoding"
            case .uriTooLong: "uri_too_long"
            case .obsFold: "obs_fold"
            case .emptyFieldName: "empty_field_name"
            case .spaceBeforeColon: "space_before_colon"
            case .badFieldName: "bad_field_name"
            case .headTooLarge: "head_too_large"
            case .tooManyFields: "too_many_fields"
            case .contentLengthAndTransferEncoding: "content_length_and_transfer_encoding"
            case .repeatedContentLength: "repeated_content_length"
            case .badContentLength: "bad_content_length"
            case .repeatedTransferEncoding: "repeated_transfer_encoding"
            case .badTransferEncoding: "bad_transfer_encoding"
            case .unsupportedTransferCoding: "unsupported_transfer_coding"
            case .transferEncodingInHTTP10: "transfer_encoding_in_http_1_0"
            case .missingHost: "missing_host"
            case .duplicateHost: "duplicate_host"
            case .badHost: "bad_host"
            case .badConnectionOption: "bad_connection_option"
            case .unknownExpectation: "unknown_expectation"
            case .badChunkSize: "bad_chunk_size"
            case .chunkTooLarge: "chunk_too_large"
            case .chunkLineTooLong: "chunk_line_too_long"
            case .chunkOverhead: "chunk_overhead"
            case .badChunkEnd: "bad_chunk_end"
            case .trailersTooLarge: "trailers_too_large"
            }
        }

        /// The status for a client that is at fault so. 400 where no other fits better.
        public var status: Int {
            switch self {
            case .uriTooLong: 414
            case .unknownExpectation: 417
            case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
            case .unsupportedTransferCoding: 501
            case .versionNotSupported: 505
            default: 400
            }
        }

        /// The fault of a byte that is neither a token character nor allowed in a value.
        init(unexpected byte: UInt8, otherwise reason: Reason) {
            switch byte {
            case 0: self = .nul
            case ASCII.lineFeed: self = .bareLF
            case ASCII.carriageReturn: self = .bareCR
            case 0x01...0x1F, ASCII.delete: self = byte == ASCII.tab ? reason : .controlByte
            default: self = reason
            }
        }
    }
}
