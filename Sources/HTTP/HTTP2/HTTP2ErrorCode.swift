/// Why a stream or a connection ends, as RST_STREAM and GOAWAY say it. RFC 9113 §7
///
/// A struct, as a peer may send any number.
public struct HTTP2ErrorCode: Sendable, Hashable {
    public let number: UInt32

    @inlinable public init(_ number: UInt32) { self.number = number }

    public static var noError: Self { Self(0) }
    public static var protocolError: Self { Self(1) }
    public static var internalError: Self { Self(2) }
    public static var flowControlError: Self { Self(3) }
    public static var settingsTimeout: Self { Self(4) }
    public static var streamClosed: Self { Self(5) }
    public static var frameSizeError: Self { Self(6) }
    /// Nothing of the request was processed: it may be sent again. RFC 9113 §8.7
    public static var refusedStream: Self { Self(7) }
    public static var cancel: Self { Self(8) }
    public static var compressionError: Self { Self(9) }
    public static var connectError: Self { Self(10) }
    public static var enhanceYourCalm: Self { Self(11) }
    public static var inadequateSecurity: Self { Self(12) }
    public static var http11Required: Self { Self(13) }

    /// As in `code=` of logs and metrics; `unknown` for what the RFC does not have.
    public var name: String {
        let names = [
            "no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout", "stream_closed",
            "frame_size_error", "refused_stream", "cancel", "compression_error", "connect_error", "enhance_your_calm",
            "inadequate_security", "http_1_1_required",
        ]
        return Int(number) < names.count ? names[Int(number)] : "unknown"
    }
}

/// What a peer did wrong, or too often. One word per fault, for logs and metrics.
public enum HTTP2Fault: UInt8, Sendable, CaseIterable {
    // Too often: what the misbehaviour budget is charged for.
    case rapidReset, madeYouReset, emptyData, tinyData, continuationFlood, settingsFlood, pingFlood, priorityFlood
    case windowUpdateFlood, unknownFrameFlood, lateFrameFlood, refusedStreams, headerBomb, tableSizeFlood
    // Frames that must not be.
    case badPreface, settingsMissing, badFrameSize, badStreamID, unexpectedFrame, unexpectedContinuation, badPadding
    case badSetting, windowOverflow, zeroWindowUpdate, windowExceeded, badGoAway, pushPromise, idleStream, closedStream
    case badPriorityUpdate
    // Blocks that no decoder can read.
    case compression, blockTooLarge
    // Messages that are malformed. RFC 9113 §8.1.1
    case badFieldName, badFieldValue, connectionField, badTE, badPseudoField, pseudoFieldOrder, missingPseudoField
    case badMethod, badScheme, badPath, badAuthority, hostDiffers, badStatus, badContentLength, contentLengthMismatch
    case trailersWithoutEnd, dataBeforeHead, badInformational
    // Heads that are too large.
    case headTooLarge, tooManyFields
    // Silence, by the owner's clock.
    case headTimeout, settingsTimeout, pingTimeout

    /// As in `reason=` of logs and metrics.
    public var name: String {
        switch self {
        case .rapidReset: "rapid_reset"
        case .madeYouReset: "made_you_reset"
        case .emptyData: "empty_data"
        case .tinyData: "tiny_data"
        case .continuationFlood: "continuation_flood"
        case .settingsFlood: "settings_flood"
        case .pingFlood: "ping_flood"
        case .priorityFlood: "priority_flood"
        case .windowUpdateFlood: "window_update_flood"
        case .unknownFrameFlood: "unknown_frame_flood"
        case .lateFrameFlood: "late_frame_flood"
        case .refusedStreams: "refused_streams"
        case .headerBomb: "header_bomb"
        case .tableSizeFlood: "table_size_flood"
        case .badPreface: "bad_preface"
        case .settingsMissing: "settings_missing"
        case .badFrameSize: "bad_frame_size"
        case .badStreamID: "bad_stream_id"
        case .unexpectedFrame: "unexpected_frame"
        case .unexpectedContinuation: "unexpected_continuation"
        case .badPadding: "bad_padding"
        case .badSetting: "bad_setting"
        case .windowOverflow: "window_overflow"
        case .zeroWindowUpdate: "zero_window_update"
        case .windowExceeded: "window_exceeded"
        case .badGoAway: "bad_goaway"
        case .pushPromise: "push_promise"
        case .idleStream: "idle_stream"
        case .closedStream: "closed_stream"
        case .badPriorityUpdate: "bad_priority_update"
        case .compression: "compression"
        case .blockTooLarge: "block_too_large"
        case .badFieldName: "bad_field_name"
        case .badFieldValue: "bad_field_value"
        case .connectionField: "connection_field"
        case .badTE: "bad_te"
        case .badPseudoField: "bad_pseudo_field"
        case .pseudoFieldOrder: "pseudo_field_order"
        case .missingPseudoField: "missing_pseudo_field"
        case .badMethod: "bad_method"
        case .badScheme: "bad_scheme"
        case .badPath: "bad_path"
        case .badAuthority: "bad_authority"
        case .hostDiffers: "host_differs"
        case .badStatus: "bad_status"
        case .badContentLength: "bad_content_length"
        case .contentLengthMismatch: "content_length_mismatch"
        case .trailersWithoutEnd: "trailers_without_end"
        case .dataBeforeHead: "data_before_head"
        case .badInformational: "bad_informational"
        case .headTooLarge: "head_too_large"
        case .tooManyFields: "too_many_fields"
        case .headTimeout: "head_timeout"
        case .settingsTimeout: "settings_timeout"
        case .pingTimeout: "ping_timeout"
        }
    }
}
