/// Slots, and how streams end.
extension HTTP2Connection {
    mutating func takeSlot() -> Int {
        let slot: Int
        if firstFree >= 0 {
            slot = firstFree
            firstFree = streams[slot].nextFree
            streams[slot] = HTTP2Stream()
        } else {
            slot = streams.count
            streams.append(HTTP2Stream())
        }
        streams[slot].flags = .inUse
        // What SETTINGS announced. A window that has grown meanwhile is given with the first update.
        streams[slot].receiveWindow = settings.streamWindowBytes
        streams[slot].windowSize = settings.streamWindowBytes
        slotsInUse &+= 1
        return slot
    }

    /// A slot for a stream that the peer opened.
    mutating func takeSlot(for id: UInt32) -> Int {
        let slot = takeSlot()
        streams[slot].id = id
        streams[slot].flags = [.inUse, .isOpen]
        streams[slot].sendWindow = peerStreamWindow
        index.insert(id, slot: slot)
        openStreams &+= 1
        return slot
    }

    mutating func endLocally(_ slot: Int) {
        streams[slot].flags.insert(.localEnded)
        if streams[slot].flags.contains(.remoteEnded) { finish(slot) }
    }

    mutating func endRemotely(_ slot: Int) {
        streams[slot].flags.insert(.remoteEnded)
        if streams[slot].flags.contains(.localEnded) { finish(slot) }
    }

    private mutating func finish(_ slot: Int) {
        endedStreams[endedCount & 15] = streams[slot].id
        endedCount &+= 1
        budget.credit(HTTP2Budget.finishedStreamCredit)
        close(slot)
    }

    mutating func close(_ slot: Int) {
        guard streams[slot].flags.contains(.isOpen) else { return }
        streams[slot].flags.remove(.isOpen)
        openStreams &-= 1
        index.remove(streams[slot].id)
    }

    @usableFromInline mutating func free(_ slot: Int, _ workspace: inout HTTP2Workspace) {
        precondition(streams[slot].flags.contains(.inUse), "a slot that was released before")
        if phase != .failed {
            // The rest of a request is not needed once its answer is complete. §8.1
            let isAnswered = role == .server && streams[slot].flags.contains(.localEnded)
            writeReset(slot, isAnswered ? .noError : .cancel, &workspace)
            let held = streams[slot].held
            if held > 0 { owe(held, &workspace) }
        }
        streams[slot].flags = []
        streams[slot].nextFree = firstFree
        firstFree = slot
        slotsInUse &-= 1
    }

    enum Absence { case idle, leftOut, resetByUs, ended, closed }

    /// What a number means that no open stream has.
    func absence(of id: UInt32) -> Absence {
        let isPeers = (id & 1 == 1) == (role == .server)
        if isPeers ? id > lastPeerStream : id >= nextStream { return .idle }
        if isPeers, id > lastProcessed { return .leftOut }
        if !resetStreams.isEmpty {
            for index in 0..<128 where resetStreams[index] == id { return .resetByUs }
        }
        for index in 0..<16 where endedStreams[index] == id { return .ended }
        return .closed
    }
}
