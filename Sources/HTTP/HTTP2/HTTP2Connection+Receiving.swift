import PoiseBytes
import PoiseModel

/// What comes in: frames, in the order of RFC 9113 §6.
///
///     preface --> frame --DATA--> data --> frame
///                   |----SETTINGS--> settings --> frame
///                   |----HEADERS, CONTINUATION not there as a whole--> fragment --> frame
///                   `----what means nothing--> skip --> frame
extension HTTP2Connection {
    @usableFromInline mutating func advance(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ now: MonotonicTime,
        _ workspace: inout HTTP2Workspace
    ) -> Event {
        precondition(0 <= position && position <= end && end <= bytes.count)
        budget.refill(now)
        while true {
            let event: Event?
            switch phase {
            case .frame:
                if goAwayScan >= 0, let event = reportLeftOut() { return event }
                guard end &- position >= HTTP2FrameHeader.byteCount else { return .needMore }
                event = readFrame(bytes, &position, end, &workspace)
            case .data:
                guard position < end || payloadLeft &+ paddingLeft == 0 else { return .needMore }
                event = readData(&position, end, &workspace)
            case .skip:
                let count = Swift.min(payloadLeft, end &- position)
                position &+= count
                payloadLeft &-= count
                if payloadLeft > 0 { return .needMore }
                phase = .frame
                event = nil
            case .settings:
                guard payloadLeft == 0 || end &- position >= 6 else { return .needMore }
                event = readSetting(bytes, &position, &workspace)
            case .fragment:
                guard position < end || payloadLeft &+ paddingLeft == 0 else { return .needMore }
                event = readFragment(bytes, &position, end, &workspace)
            case .preface:
                guard position < end else { return .needMore }
                event = readPreface(bytes, &position, end, &workspace)
            case .failed:
                position = end
                return .needMore
            }
            if let event {
                if case .needMore = event { return event }
                return phase == .failed ? .refusedConnection(failureCode, failure) : event
            }
            if workspace.outputCount > 0 { return .replied }
        }
    }

    private mutating func readPreface(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        let preface = Self.preface.asciiBytes
        while position < end, prefaceRead < preface.count {
            guard bytes[position] == preface[prefaceRead] else {
                return refuse(.protocolError, .badPreface, &workspace)
            }
            position += 1
            prefaceRead += 1
        }
        if prefaceRead == preface.count { phase = .frame }
        return nil
    }

    /// Reads a frame's header and, of all but the long ones, the frame. Where more bytes are needed, nothing is moved.
    private mutating func readFrame(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        let frame = HTTP2FrameHeader(bytes, at: position)
        // What SETTINGS_MAX_FRAME_SIZE is unless it is announced otherwise. §4.2
        guard frame.length <= 16_384 else { return refuse(.frameSizeError, .badFrameSize, &workspace) }
        if blockStream != 0, frame.type != .continuation || frame.stream != blockStream {
            return refuse(.protocolError, .unexpectedContinuation, &workspace)
        }
        if !sawSettings {
            guard frame.type == .settings, frame.flags & HTTP2FrameHeader.acknowledgement == 0 else {
                return refuse(.protocolError, .settingsMissing, &workspace)
            }
            sawSettings = true
        }
        let start = position &+ HTTP2FrameHeader.byteCount
        switch frame.type {
        case .data: return beginData(frame, bytes, &position, end, &workspace)
        case .headers: return beginHeaders(frame, bytes, &position, end, &workspace)
        case .continuation: return beginContinuation(frame, bytes, &position, end, &workspace)
        case .settings:
            position = start
            return beginSettings(frame, &workspace)
        default: break
        }
        // Frames with a few bytes that count: those are read together with the header.
        let needed: Int
        switch frame.type {
        case .priority: needed = 5
        case .reset, .windowUpdate: needed = 4
        case .ping, .goAway: needed = 8
        case .pushPromise: return refuse(.protocolError, .pushPromise, &workspace)
        case .priorityUpdate: needed = Swift.min(frame.length, 64)
        default:
            position = start
            (phase, payloadLeft) = (.skip, frame.length)
            return charge(.unknownFrameFlood, &workspace)
        }
        let isSized =
            frame.type == .goAway || frame.type == .priorityUpdate
            ? frame.length >= (frame.type == .goAway ? 8 : 4) : frame.length == needed
        guard isSized else {
            // Of PRIORITY it is the stream's error (§6.3), which cannot be told of a stream that is not open.
            if frame.type == .priority, let slot = index.slot(of: frame.stream) {
                position = start
                (phase, payloadLeft) = (.skip, frame.length)
                return failStream(slot, .frameSizeError, .badFrameSize, &workspace)
            }
            return refuse(.frameSizeError, .badFrameSize, &workspace)
        }
        guard end &- start >= needed else { return .needMore }
        position = start &+ needed
        if frame.length > needed { (phase, payloadLeft) = (.skip, frame.length &- needed) }
        switch frame.type {
        case .windowUpdate: return readWindowUpdate(frame, bytes.bigEndian32(at: start) & 0x7FFF_FFFF, &workspace)
        case .reset: return readReset(frame, HTTP2ErrorCode(bytes.bigEndian32(at: start)), &workspace)
        case .ping: return readPing(frame, bytes.word(at: start).byteSwapped, &workspace)
        case .goAway: return readGoAway(frame, bytes, start, &workspace)
        case .priorityUpdate: return readPriorityUpdate(frame, bytes, start, &workspace)
        default:
            // PRIORITY: of no meaning any more. §5.3.2
            if frame.stream == 0 { return refuse(.protocolError, .badStreamID, &workspace) }
            return charge(.priorityFlood, &workspace)
        }
    }

    // MARK: RST_STREAM, §6.4

    private mutating func readReset(
        _ frame: HTTP2FrameHeader, _ code: HTTP2ErrorCode, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard frame.stream != 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        guard let slot = index.slot(of: frame.stream) else {
            guard absence(of: frame.stream) != .idle else { return refuse(.protocolError, .idleStream, &workspace) }
            // Crossed with the end of the stream.
            return charge(.lateFrameFlood, &workspace)
        }
        streams[slot].flags.insert(.wasReset)
        close(slot)
        if role == .server, let event = charge(.rapidReset, &workspace) { return event }
        return .streamReset(slot: slot, code)
    }

    // MARK: SETTINGS, §6.5

    private mutating func beginSettings(_ frame: HTTP2FrameHeader, _ workspace: inout HTTP2Workspace) -> Event? {
        guard frame.stream == 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        if frame.flags & HTTP2FrameHeader.acknowledgement != 0 {
            guard frame.length == 0 else { return refuse(.frameSizeError, .badFrameSize, &workspace) }
            if settingsAcknowledged { return charge(.settingsFlood, &workspace) }
            settingsAcknowledged = true
            return nil
        }
        guard frame.length % 6 == 0 else { return refuse(.frameSizeError, .badFrameSize, &workspace) }
        (phase, payloadLeft, settingsEntry) = (.settings, frame.length, 0)
        (pendingPeerWindow, pendingPeerFrame, pendingPeerStreams) = (-1, -1, -1)
        (pendingPeerTable, pendingPeerTableLeast) = (-1, .max)
        return charge(.settingsFlood, &workspace)
    }

    private mutating func readSetting(
        _ bytes: Span<UInt8>, _ position: inout Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard payloadLeft > 0 else { return finishSettings(&workspace) }
        let id = UInt16(truncatingIfNeeded: bytes.bigEndian32(at: position) &>> 16)
        let value = Int(bytes.bigEndian32(at: position &+ 2))
        position &+= 6
        payloadLeft &-= 6
        settingsEntry &+= 1
        // More than there are settings, many times over.
        if settingsEntry & 31 == 0, let event = charge(.settingsFlood, &workspace) { return event }
        switch id {
        case 1: (pendingPeerTable, pendingPeerTableLeast) = (value, Swift.min(pendingPeerTableLeast, value))
        case 2:
            // A server must not offer to take pushes; a client may refuse or allow them. §6.5.2
            guard value == 0 || value == 1 && role == .server else {
                return refuse(.protocolError, .badSetting, &workspace)
            }
        case 3: pendingPeerStreams = value
        case 4:
            guard value <= 0x7FFF_FFFF else { return refuse(.flowControlError, .badSetting, &workspace) }
            pendingPeerWindow = value
        case 5:
            guard 16_384...16_777_215 ~= value else { return refuse(.protocolError, .badSetting, &workspace) }
            pendingPeerFrame = value
        case 8, 9:
            // RFC 8441 §3, RFC 9218 §2.1
            guard value <= 1 else { return refuse(.protocolError, .badSetting, &workspace) }
        default: break
        }
        return nil
    }

    private mutating func finishSettings(_ workspace: inout HTTP2Workspace) -> Event? {
        phase = .frame
        if pendingPeerTable >= 0 {
            encoder.setPeerLimit(pendingPeerTableLeast)
            encoder.setPeerLimit(pendingPeerTable)
        }
        if pendingPeerStreams >= 0 { peerStreamsMax = pendingPeerStreams }
        if pendingPeerFrame >= 0 { peerFrameBytesMax = pendingPeerFrame }
        if pendingPeerWindow >= 0 {
            let change = pendingPeerWindow - peerStreamWindow
            peerStreamWindow = pendingPeerWindow
            // Streams that are open follow; requests that were not sent yet too. §6.9.2
            for slot in streams.indices where change != 0 && streams[slot].flags.contains(.inUse) {
                streams[slot].sendWindow += change
                guard streams[slot].sendWindow <= 0x7FFF_FFFF else {
                    return refuse(.flowControlError, .windowOverflow, &workspace)
                }
            }
        }
        workspace.putFrameHeader(.settings, flags: HTTP2FrameHeader.acknowledgement, stream: 0, payload: 0)
        return .settingsChanged
    }

    // MARK: PING, §6.7

    private mutating func readPing(
        _ frame: HTTP2FrameHeader, _ payload: UInt64, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard frame.stream == 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        if frame.flags & HTTP2FrameHeader.acknowledgement != 0 {
            if payload == Self.measuringPing, isMeasuring {
                finishMeasuring()
                return nil
            }
            if let event = charge(.pingFlood, &workspace) { return event }
            return .pingAcknowledged(payload)
        }
        workspace.putFrameHeader(.ping, flags: HTTP2FrameHeader.acknowledgement, stream: 0, payload: 8)
        workspace.put(bigEndian: payload)
        return charge(.pingFlood, &workspace)
    }

    // MARK: GOAWAY, §6.8

    private mutating func readGoAway(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ start: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard frame.stream == 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        let last = bytes.bigEndian32(at: start) & 0x7FFF_FFFF
        guard last <= peerLastStream else { return refuse(.protocolError, .badGoAway, &workspace) }
        if peerIsGoingAway, let event = charge(.pingFlood, &workspace) { return event }
        peerLastStream = last
        peerIsGoingAway = true
        // Afterwards: the rest of this frame may have to be skipped first.
        if role == .client { goAwayScan = 0 }
        return .goAway(lastStream: last, HTTP2ErrorCode(bytes.bigEndian32(at: start &+ 4)))
    }

    /// One after the other, the requests that the peer has not processed: sending them again is safe.
    private mutating func reportLeftOut() -> Event? {
        while goAwayScan < streams.count {
            let slot = goAwayScan
            goAwayScan += 1
            if streams[slot].flags.contains(.isOpen), streams[slot].id > peerLastStream {
                streams[slot].flags.insert(.wasReset)
                close(slot)
                return .streamReset(slot: slot, .refusedStream)
            }
        }
        goAwayScan = -1
        return nil
    }

    // MARK: WINDOW_UPDATE, §6.9

    private mutating func readWindowUpdate(
        _ frame: HTTP2FrameHeader, _ count: UInt32, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        if let event = charge(.windowUpdateFlood, &workspace) { return event }
        guard frame.stream != 0 else {
            guard count > 0 else { return refuse(.protocolError, .zeroWindowUpdate, &workspace) }
            sendWindow += Int(count)
            guard sendWindow <= 0x7FFF_FFFF else { return refuse(.flowControlError, .windowOverflow, &workspace) }
            return .writable(slot: nil)
        }
        guard let slot = index.slot(of: frame.stream) else {
            // Until the peer learns that the stream has ended, it may send these. §5.1
            return absence(of: frame.stream) == .idle ? refuse(.protocolError, .idleStream, &workspace) : nil
        }
        guard count > 0 else { return failStream(slot, .protocolError, .zeroWindowUpdate, &workspace) }
        streams[slot].sendWindow += Int(count)
        guard streams[slot].sendWindow <= 0x7FFF_FFFF else {
            return failStream(slot, .flowControlError, .windowOverflow, &workspace)
        }
        return streams[slot].flags.contains(.localEnded) ? nil : .writable(slot: slot)
    }

    // MARK: PRIORITY_UPDATE, RFC 9218 §7.1

    private mutating func readPriorityUpdate(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ start: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        let id = bytes.bigEndian32(at: start) & 0x7FFF_FFFF
        guard frame.stream == 0, role == .server, id & 1 == 1 else {
            return refuse(.protocolError, .badPriorityUpdate, &workspace)
        }
        if let event = charge(.priorityFlood, &workspace) { return event }
        // Of a stream that is not open yet there is nothing to keep it with, and longer than 60 bytes no value makes sense.
        guard let slot = index.slot(of: id), frame.length <= 64 else { return nil }
        let priority = HTTP2Priority(bytes, ByteRange(start: start + 4, count: frame.length - 4))
        guard streams[slot].priority != priority else { return nil }
        streams[slot].priority = priority
        return .priorityChanged(slot: slot)
    }
}
