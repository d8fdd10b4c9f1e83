extension HTTP2Fault {
    /// What the peer did, for people who know their clients and not the protocol by heart. Goes on from "it".
    public var words: String {
        switch self {
        case .rapidReset: "took requests back as fast as it sent them"
        case .madeYouReset: "had one stream after the other reset, by malformed requests or frames that must not be"
        case .emptyData: "sent DATA without content again and again"
        case .tinyData: "sent its content in pieces of a few bytes"
        case .continuationFlood: "cut its header blocks into far too many pieces"
        case .settingsFlood: "sent SETTINGS again and again"
        case .pingFlood: "sent PING or GOAWAY again and again"
        case .priorityFlood: "changed priorities again and again"
        case .windowUpdateFlood: "sent far more window updates than there was content for"
        case .unknownFrameFlood: "sent frames of unknown kinds again and again"
        case .lateFrameFlood: "went on sending for streams that were over"
        case .refusedStreams: "opened streams beyond http2.max_streams again and again"
        case .headerBomb: "sent heads far beyond limits.max_head_size and limits.max_fields"
        case .tableSizeFlood: "changed the size of the HPACK table again and again"
        case .badPreface: "did not begin as HTTP/2 does"
        case .settingsMissing: "did not begin with SETTINGS"
        case .badFrameSize: "sent a frame of a length that must not be"
        case .badStreamID: "sent a frame for a stream that must not be"
        case .unexpectedFrame: "sent a frame where it must not be"
        case .unexpectedContinuation: "broke a header block off, or went on with one that it had not begun"
        case .badPadding: "sent a frame with more padding than it has room for"
        case .badSetting: "sent a setting with a value that must not be"
        case .windowOverflow: "raised a window above 2^31-1 bytes"
        case .zeroWindowUpdate: "raised a window by 0 bytes"
        case .windowExceeded: "sent more content than its window allows"
        case .badGoAway: "took a GOAWAY back with another"
        case .pushPromise: "pushed, which nobody allowed it"
        case .idleStream: "sent a frame for a stream that was never opened"
        case .closedStream: "sent a frame for a stream that had ended"
        case .badPriorityUpdate: "sent a PRIORITY_UPDATE that must not be"
        case .compression: "sent a header block that cannot be decoded"
        case .blockTooLarge: "sent a header block of more than twice limits.max_head_size"
        case .badFieldName, .badFieldValue, .connectionField, .badTE, .badPseudoField, .pseudoFieldOrder,
            .missingPseudoField, .badMethod, .badScheme, .badPath, .badAuthority, .hostDiffers, .badStatus,
            .badContentLength, .contentLengthMismatch, .trailersWithoutEnd, .dataBeforeHead, .badInformational:
            "sent a malformed message"
        case .headTooLarge, .tooManyFields: "sent a head beyond limits.max_head_size or limits.max_fields"
        case .headTimeout: "began a head or trailers and did not end them within timeouts.head"
        case .settingsTimeout: "did not send its preface and SETTINGS within timeouts.head"
        case .pingTimeout: "did not answer a PING within http2.ping_interval"
        }
    }
}
