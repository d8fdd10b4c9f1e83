import PoiseBytes

/// HEADERS and CONTINUATION, §6.2, §6.10: blocks, and what they are for a stream.
extension HTTP2Connection {
    /// Compressed, of all frames of a block together. More would be above the limit of the list by far.
    private var blockBytesMax: Int { 2 * settings.headListBytesMax }

    mutating func beginHeaders(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int,
        _ workspace: inout HTTP2Workspace
    ) -> Event? {
        var start = position &+ HTTP2FrameHeader.byteCount
        // The length of the padding, and the priority of RFC 7540, which means nothing any more.
        let isPadded = frame.flags & HTTP2FrameHeader.padded != 0
        let prefix = (isPadded ? 1 : 0) &+ (frame.flags & HTTP2FrameHeader.hasPriority != 0 ? 5 : 0)
        guard frame.stream != 0 else { return refuse(.protocolError, .badStreamID, &workspace) }
        guard frame.length >= prefix else { return refuse(.frameSizeError, .badFrameSize, &workspace) }
        guard end &- start >= prefix else { return .needMore }
        let padding = isPadded ? Int(bytes[start]) : 0
        guard padding <= frame.length &- prefix else { return refuse(.protocolError, .badPadding, &workspace) }
        start &+= prefix

        blockIsNew = false
        if index.slot(of: frame.stream) == nil {
            switch absence(of: frame.stream) {
            case .idle:
                // A client opens streams with odd numbers, a server none. §5.1.1
                guard role == .server, frame.stream & 1 == 1 else {
                    return refuse(.protocolError, .badStreamID, &workspace)
                }
                blockIsNew = true
                lastPeerStream = frame.stream
            case .leftOut, .resetByUs: break
            case .ended: return refuse(.streamClosed, .closedStream, &workspace)
            case .closed: return refuse(.protocolError, .badStreamID, &workspace)
            }
        }
        position = start
        blockStream = frame.stream
        blockEndsStream = frame.flags & HTTP2FrameHeader.endStream != 0
        payloadLeft = frame.length &- prefix &- padding
        paddingLeft = padding
        return beginFragment(frame, bytes, &position, end, &workspace)
    }

    mutating func beginContinuation(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int,
        _ workspace: inout HTTP2Workspace
    ) -> Event? {
        guard blockStream != 0 else { return refuse(.protocolError, .unexpectedContinuation, &workspace) }
        if let event = charge(.continuationFlood, &workspace) { return event }
        // One without bytes has no use at all.
        if frame.length == 0, let event = charge(.continuationFlood, &workspace) { return event }
        position &+= HTTP2FrameHeader.byteCount
        (payloadLeft, paddingLeft) = (frame.length, 0)
        return beginFragment(frame, bytes, &position, end, &workspace)
    }

    private mutating func beginFragment(
        _ frame: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int,
        _ workspace: inout HTTP2Workspace
    ) -> Event? {
        blockFrameEndsBlock = frame.flags & HTTP2FrameHeader.endHeaders != 0
        if blockFrameEndsBlock, block.isEmpty, end &- position >= payloadLeft {
            // Nearly always: a block in one piece, decoded where it is.
            let start = position
            position &+= payloadLeft
            (phase, payloadLeft) = paddingLeft > 0 ? (.skip, paddingLeft) : (.frame, 0)
            return takeBlock(bytes, start, position, &workspace)
        }
        guard block.count + payloadLeft <= blockBytesMax else {
            return refuse(.enhanceYourCalm, .blockTooLarge, &workspace)
        }
        phase = .fragment
        return nil
    }

    mutating func readFragment(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        let count = Swift.min(payloadLeft, end &- position)
        block.append(bytes.extracting(position..<position &+ count))
        position &+= count
        payloadLeft &-= count
        guard payloadLeft == 0 else { return nil }
        (phase, payloadLeft) = paddingLeft > 0 ? (.skip, paddingLeft) : (.frame, 0)
        guard blockFrameEndsBlock else { return nil }
        let whole = block
        block = []
        return takeBlock(whole.span, 0, whole.count, &workspace)
    }

    /// Decodes the block, whatever becomes of it, and finds out what it is.
    private mutating func takeBlock(
        _ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ workspace: inout HTTP2Workspace
    ) -> Event? {
        let id = blockStream
        blockStream = 0
        let slot = index.slot(of: id)
        let flags = slot.map { streams[$0].flags } ?? []
        let kind: HTTP2HeadBuilder.Kind =
            flags.contains(.headReceived) ? .trailers : role == .server ? .request : .response
        workspace.head.begin(
            kind, listBytesMax: settings.headListBytesMax, fieldCountMax: settings.fieldCountMax)
        let outcome = decoder.decode(
            bytes, from: start, to: end, with: workspace.tables, into: &workspace.head,
            listBytesEnd: 4 * settings.headListBytesMax)
        switch outcome {
        case .decoded: break
        case .broken: return refuse(.compressionError, .compression, &workspace)
        case .bomb: return refuse(.enhanceYourCalm, .headerBomb, &workspace)
        }
        if decoder.needlessSizeUpdates > 0 {
            for _ in 0..<Swift.min(decoder.needlessSizeUpdates, 1000) {
                if let event = charge(.tableSizeFlood, &workspace) { return event }
            }
        }
        guard let slot else {
            // After our last GOAWAY the client was told to send these elsewhere. §6.8
            guard blockIsNew, id <= lastProcessed else { return charge(.lateFrameFlood, &workspace) }
            return openPeerStream(id, &workspace)
        }
        if flags.contains(.remoteEnded) { return failStream(slot, .streamClosed, .closedStream, &workspace) }
        workspace.head.finish()
        return kind == .trailers ? takeTrailers(slot, &workspace) : takeAnswer(slot, &workspace)
    }

    /// Streams beyond the limit that cost nothing before the limit is acknowledged: what a client may send in a round trip.
    private static var refusedUnawareMax: Int { 1_000 }

    private mutating func openPeerStream(_ id: UInt32, _ workspace: inout HTTP2Workspace) -> Event? {
        // Slots whose owner has not let go yet count too, up to a reserve.
        let slotsMax = settings.streamsMax + Swift.max(8, settings.streamsMax / 4)
        guard openStreams < settings.streamsMax, slotsInUse < slotsMax else {
            writeReset(id: id, .refusedStream, &workspace)
            // Until it acknowledged our settings it could not know the limit (§6.5.3), but it cannot put that off for ever.
            if !settingsAcknowledged { refusedUnaware += 1 }
            if settingsAcknowledged || refusedUnaware > Self.refusedUnawareMax,
                let event = charge(.refusedStreams, &workspace)
            {
                return event
            }
            return .streamRefused(.refusedStream, .refusedStreams)
        }
        workspace.head.finish()
        if let fault = workspace.head.fault, fault != .headTooLarge, fault != .tooManyFields {
            writeReset(id: id, .protocolError, &workspace)
            return charge(.madeYouReset, &workspace) ?? .streamRefused(.protocolError, fault)
        }
        // §8.1.1. As above, nobody has heard of the stream yet: it must not have a slot that somebody else must release.
        if workspace.head.fault == nil, blockEndsStream, workspace.head.contentLength > 0 {
            writeReset(id: id, .protocolError, &workspace)
            return charge(.madeYouReset, &workspace) ?? .streamRefused(.protocolError, .contentLengthMismatch)
        }
        let slot = takeSlot(for: id)
        streams[slot].flags.insert(.headReceived)
        streams[slot].priority = workspace.head.priority
        if blockEndsStream { endRemotely(slot) }
        if let fault = workspace.head.fault {
            return charge(.headerBomb, &workspace) ?? .headTooLarge(slot: slot, endStream: blockEndsStream, fault)
        }
        if workspace.head.contentLength >= 0 { streams[slot].contentLeft = workspace.head.contentLength }
        return .head(slot: slot, endStream: blockEndsStream)
    }

    private mutating func takeAnswer(_ slot: Int, _ workspace: inout HTTP2Workspace) -> Event? {
        if let fault = workspace.head.fault { return failStream(slot, .protocolError, fault, &workspace) }
        let status = workspace.head.status
        if status < 200 {
            // One of 1xx never ends a stream. §8.1
            if blockEndsStream { return failStream(slot, .protocolError, .badInformational, &workspace) }
            return .head(slot: slot, endStream: false)
        }
        streams[slot].flags.insert(.headReceived)
        if streams[slot].flags.contains(.isHead) || status == 204 || status == 304 {
            // Content-Length says here what another answer would have. §8.1.1
            streams[slot].contentLeft = 0
        } else if workspace.head.contentLength >= 0 {
            streams[slot].contentLeft = workspace.head.contentLength
            if blockEndsStream, streams[slot].contentLeft > 0 {
                return failStream(slot, .protocolError, .contentLengthMismatch, &workspace)
            }
        }
        if blockEndsStream { endRemotely(slot) }
        return .head(slot: slot, endStream: blockEndsStream)
    }

    private mutating func takeTrailers(_ slot: Int, _ workspace: inout HTTP2Workspace) -> Event? {
        if !blockEndsStream { return failStream(slot, .protocolError, .trailersWithoutEnd, &workspace) }
        if let fault = workspace.head.fault { return failStream(slot, .protocolError, fault, &workspace) }
        if streams[slot].contentLeft > 0 {
            return failStream(slot, .protocolError, .contentLengthMismatch, &workspace)
        }
        endRemotely(slot)
        return .trailers(slot: slot)
    }
}
