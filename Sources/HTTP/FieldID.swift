import PoiseBytes

/// The fields that Poise looks at or that others ask for often, recognised once while a head is parsed.
public enum FieldID: UInt8, Sendable {
    /// Any other field: compare its name.
    case other
    case host, connection, contentLength, transferEncoding, keepAlive, proxyConnection, te, trailer, upgrade
    case expect, via, xForwardedFor, xForwardedProto, xForwardedPort, xForwardedHost, xRealIP, forwarded
    case xRequestID, xAmznTraceID, maxForwards, date, server, authorization, wwwAuthenticate
    case proxyAuthenticate, proxyAuthorization, http2Settings, cookie, setCookie, location, contentType
    case contentEncoding, contentRange, userAgent, referer, accept, acceptEncoding, range, age, cacheControl
    case xAmznTLSVersion, xAmznTLSCipherSuite

    /// Meant for one connection only, so never passed on, whether `Connection` lists it or not. RFC 9110 §7.6.1
    ///
    /// `Trailer` is not among them: it announces the trailers, which are passed on (§6.6.2). `Proxy-Authenticate`
    /// and `Proxy-Authorization` belong to the nearest proxy that asks for them (§11.7), and Poise never asks.
    var isHopByHop: Bool { FieldSet.hopByHop.contains(self) }

    /// A `Connection` option that names one of these would have the next hop lose what decides framing, routing or
    /// who the client is. RFC 9110 §7.6.1 forbids it for every field meant for all recipients; these do harm.
    var isProtectedFromConnection: Bool {
        switch self {
        case .host, .contentLength, .transferEncoding, .authorization, .xForwardedFor, .xForwardedProto,
            .xForwardedPort, .xForwardedHost, .xRealIP, .forwarded, .xAmznTLSVersion, .xAmznTLSCipherSuite:
            true
        default: false
        }
    }

    /// Framing, routing, authentication, request modifiers, response control and content format: these would change
    /// what the head has already said. RFC 9110 §6.5.1
    var isForbiddenInTrailers: Bool {
        switch self {
        case .other, .via, .server, .userAgent, .referer, .accept, .acceptEncoding: false
        default: true
        }
    }
}

extension FieldSet {
    /// Those of ``FieldID/isHopByHop``.
    @inlinable static var hopByHop: FieldSet {
        [
            FieldSet(.connection), FieldSet(.transferEncoding), FieldSet(.keepAlive), FieldSet(.proxyConnection),
            FieldSet(.te), FieldSet(.upgrade), FieldSet(.http2Settings),
        ]
    }
}

/// A field name on its way to a ``FieldID``: its last 16 bytes, lower-cased, as one number.
///
/// Setting bit 5 lower-cases letters and leaves digits and `-` alone; of the token characters only `^` and `_`
/// become something else (`~` and DEL), which no known name holds. So equal numbers mean equal names.
struct PackedName {
    private(set) var bits: UInt128

    /// Packs bytes of a field value too: a value holds no control bytes, and those are what else could become a `-`.
    @inline(__always) init(_ bytes: Span<UInt8>, _ range: ByteRange) {
        self.init(bytes, from: range.start, to: range.end)
    }

    @inline(__always) init(_ bytes: Span<UInt8>, from start: Int, to end: Int) {
        bits = bytes.foldedTail(from: start, to: end)
    }

    static var close: UInt128 { 0x63_6C6F_7365 }
    static var keepAlive: UInt128 { 0x6B65_6570_2D61_6C69_7665 }

    /// The field called so. The numbers are the names in ASCII; `FieldNameTests` compares each with its text.
    /// - Parameters:
    ///   - name: the whole name in `bytes`, which was packed.
    ///   - unscored: what of a longer name is not packed is taken as if each `_` in it were a `-`.
    @inline(__always) func fieldID(_ bytes: Span<UInt8>, _ name: ByteRange, unscored: Bool = false) -> FieldID {
        /// Of a name of 17...24 bytes those that `bits` no longer holds, packed alike.
        @inline(__always) func front(_ expected: UInt64) -> Bool {
            let front =
                (bytes.word(at: name.start) | 0x2020_2020_2020_2020).byteSwapped
                &>> UInt64(truncatingIfNeeded: 8 &* (24 &- name.count))
            return (unscored ? Self.unscored(front) : front) == expected
        }
        switch name.count {
        case 2:
            switch bits {
            case 0x7465: return .te
            default: return .other
            }
        case 3:
            switch bits {
            case 0x76_6961: return .via
            case 0x61_6765: return .age
            default: return .other
            }
        case 4:
            switch bits {
            case 0x686F_7374: return .host
            case 0x6461_7465: return .date
            default: return .other
            }
        case 5:
            switch bits {
            case 0x72_616E_6765: return .range
            default: return .other
            }
        case 6:
            switch bits {
            case 0x6578_7065_6374: return .expect
            case 0x7365_7276_6572: return .server
            case 0x636F_6F6B_6965: return .cookie
            case 0x6163_6365_7074: return .accept
            default: return .other
            }
        case 7:
            switch bits {
            case 0x74_7261_696C_6572: return .trailer
            case 0x75_7067_7261_6465: return .upgrade
            case 0x72_6566_6572_6572: return .referer
            default: return .other
            }
        case 8:
            switch bits {
            case 0x6C6F_6361_7469_6F6E: return .location
            default: return .other
            }
        case 9:
            switch bits {
            case 0x78_2D72_6561_6C2D_6970: return .xRealIP
            case 0x66_6F72_7761_7264_6564: return .forwarded
            default: return .other
            }
        case 10:
            switch bits {
            case 0x636F_6E6E_6563_7469_6F6E: return .connection
            case 0x6B65_6570_2D61_6C69_7665: return .keepAlive
            case 0x7365_742D_636F_6F6B_6965: return .setCookie
            case 0x7573_6572_2D61_6765_6E74: return .userAgent
            default: return .other
            }
        case 12:
            switch bits {
            case 0x782D_7265_7175_6573_742D_6964: return .xRequestID
            case 0x6D61_782D_666F_7277_6172_6473: return .maxForwards
            case 0x636F_6E74_656E_742D_7479_7065: return .contentType
            default: return .other
            }
        case 13:
            switch bits {
            case 0x61_7574_686F_7269_7A61_7469_6F6E: return .authorization
            case 0x63_6F6E_7465_6E74_2D72_616E_6765: return .contentRange
            case 0x63_6163_6865_2D63_6F6E_7472_6F6C: return .cacheControl
            default: return .other
            }
        case 14:
            switch bits {
            case 0x636F_6E74_656E_742D_6C65_6E67_7468: return .contentLength
            case 0x6874_7470_322D_7365_7474_696E_6773: return .http2Settings
            default: return .other
            }
        case 15:
            switch bits {
            case 0x78_2D66_6F72_7761_7264_6564_2D66_6F72: return .xForwardedFor
            case 0x78_2D61_6D7A_6E2D_7472_6163_652D_6964: return .xAmznTraceID
            case 0x61_6363_6570_742D_656E_636F_6469_6E67: return .acceptEncoding
            default: return .other
            }
        case 16:
            switch bits {
            case 0x7072_6F78_792D_636F_6E6E_6563_7469_6F6E: return .proxyConnection
            case 0x782D_666F_7277_6172_6465_642D_706F_7274: return .xForwardedPort
            case 0x782D_666F_7277_6172_6465_642D_686F_7374: return .xForwardedHost
            case 0x7777_772D_6175_7468_656E_7469_6361_7465: return .wwwAuthenticate
            case 0x636F_6E74_656E_742D_656E_636F_6469_6E67: return .contentEncoding
            default: return .other
            }
        case 17:
            switch bits {
            case 0x7261_6E73_6665_722D_656E_636F_6469_6E67 where front(0x74):
                return .transferEncoding
            case 0x2D66_6F72_7761_7264_6564_2D70_726F_746F where front(0x78):
                return .xForwardedProto
            default: return .other
            }
        case 18:
            switch bits {
            case 0x6F78_792D_6175_7468_656E_7469_6361_7465 where front(0x7072):
                return .proxyAuthenticate
            case 0x616D_7A6E_2D74_6C73_2D76_6572_7369_6F6E where front(0x782D):
                return .xAmznTLSVersion
            default: return .other
            }
        case 19:
            switch bits {
            case 0x7879_2D61_7574_686F_7269_7A61_7469_6F6E where front(0x70_726F):
                return .proxyAuthorization
            default: return .other
            }
        case 23:
            switch bits {
            case 0x746C_732D_6369_7068_6572_2D73_7569_7465 where front(0x78_2D61_6D7A_6E2D):
                return .xAmznTLSCipherSuite
            default: return .other
            }
        default: return .other
        }
    }

    /// Whether `name`, which is that of no known field, becomes one once each `_` in it is a `-`: programs behind CGI
    /// and its kin see both as one.
    func isUnderscoreTwin(_ bytes: Span<UInt8>, _ name: ByteRange) -> Bool {
        var twin = self
        twin.bits = Self.unscored(bits)
        // Of a longer name the underscore may be in front of what is packed.
        guard twin.bits != bits || name.count > 16 else { return false }
        return twin.fieldID(bytes, name, unscored: true) != .other
    }

    /// A token has no DEL, so 0x7F was `_`. The sum stays below 256 in each byte, and its top bit is clear for 0x7F.
    @inline(__always)
    private static func unscored<Word: FixedWidthInteger & UnsignedInteger>(_ packed: Word) -> Word {
        let each = Word.max / 0xFF
        let isUnderscore = (((packed ^ each &* 0x7F) &+ each &* 0x7F) &>> 7 & each) ^ each
        return packed ^ isUnderscore &* 0x52  // 0x7F ^ 0x2D
    }
}
