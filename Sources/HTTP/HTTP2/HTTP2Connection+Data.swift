import PoiseBytes

/// DATA, §6.1: content, its padding, and the windows that both fill.
extension HTTP2Connection {
    mutating func beginData(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int,
        _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard frame.stream != 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        var start = position &+ HTTP2FrameHeader.byteCount
        var padding = 0
        if frame.flags & HTTP2FrameHeader.padded != 0 {
            guard frame.length > 0 else { return refuse(.frameSizeError, .badFrameSize, &workspace) }
            guard start < end else { return .needMore }
            padding = Int(bytes[start])
            start &+= 1
            guard padding < frame.length else { return refuse(.protocolError, .badPadding, &workspace) }
        }
        position = start
        let overhead = frame.flags & HTTP2FrameHeader.padded != 0 ? padding &+ 1 : 0
        receiveWindow &-= frame.length
        guard receiveWindow >= 0 else { return refuse(.flowControlError, .windowExceeded, &workspace) }
        payloadLeft = frame.length &- overhead
        guard let slot = index.slot(of: frame.stream) else {
            (phase, payloadLeft) = (.skip, payloadLeft &+ padding)
            return readDataOfNone(frame, &workspace)
        }
        let content = payloadLeft
        (phase, paddingLeft, frameSlot, frameStream) = (.data, padding, slot, frame.stream)
        frameEndsStream = frame.flags & HTTP2FrameHeader.endStream != 0
        let flags = streams[slot].flags
        if flags.contains(.remoteEnded) {
            return failData(slot, .streamClosed, .closedStream, frame, &workspace)
        }
        if !flags.contains(.headReceived) { return failData(slot, .protocolError, .dataBeforeHead, frame, &workspace) }
        streams[slot].receiveWindow &-= frame.length
        guard streams[slot].receiveWindow >= 0 else {
            return failData(slot, .flowControlError, .windowExceeded, frame, &workspace)
        }
        if streams[slot].contentLeft >= 0 {
            streams[slot].contentLeft &-= content
            let left = streams[slot].contentLeft
            guard left == 0 || left > 0 && !frameEndsStream else {
                return failData(slot, .protocolError, .contentLengthMismatch, frame, &workspace)
            }
        }
        streams[slot].held &+= content
        measure(frame.length, slot, &workspace)
        if overhead > 0 {
            owe(overhead, &workspace)
            if !frameEndsStream {
                streams[slot].owed &+= overhead
                updateStreamWindow(slot, &workspace)
            }
        }
        if content <= 4, !frameEndsStream { return charge(content == 0 ? .emptyData : .tinyData, &workspace) }
        return nil
    }

    /// The frame's bytes are skipped, and go back into the connection's window.
    private mutating func failData(
        _ slot: Int, _ code: HTTP2ErrorCode, _ fault: HTTP2Fault, _ frame: HTTP2FrameHeader,
        _ workspace: inout HTTP2Workspace
    ) -> Event? {
        (phase, payloadLeft) = (.skip, payloadLeft &+ paddingLeft)
        owe(frame.length, &workspace)
        return failStream(slot, code, fault, &workspace)
    }

    private mutating func readDataOfNone(_ frame: HTTP2FrameHeader, _ workspace: inout HTTP2Workspace) -> Event? {
        owe(frame.length, &workspace)
        switch absence(of: frame.stream) {
        case .idle: return refuse(.protocolError, .idleStream, &workspace)
        case .leftOut, .resetByUs: return charge(.lateFrameFlood, &workspace)
        case .ended, .closed:
            writeReset(id: frame.stream, .streamClosed, &workspace)
            return charge(.madeYouReset, &workspace)
        }
    }

    mutating func readData(_ position: inout Int, _ end: Int, _ workspace: inout HTTP2Workspace) -> Event? {
        // The owner may have reset the stream since the last piece.
        guard streams[frameSlot].id == frameStream, streams[frameSlot].flags.contains(.isOpen) else {
            // What of this frame was not handed out is in `held` of a closed slot, and goes back with it.
            (phase, payloadLeft) = (.skip, payloadLeft &+ paddingLeft)
            return nil
        }
        let count = Swift.min(payloadLeft, end &- position)
        let start = position
        position &+= count
        payloadLeft &-= count
        let isEnd = payloadLeft == 0 && frameEndsStream
        if payloadLeft == 0 {
            if paddingLeft > 0 {
                (phase, payloadLeft, paddingLeft) = (.skip, paddingLeft, 0)
            } else {
                phase = .frame
            }
        }
        guard count > 0 || isEnd else { return nil }
        if isEnd { endRemotely(frameSlot) }
        return .data(slot: frameSlot, ByteRange(start: start, count: count), endStream: isEnd)
    }
}
