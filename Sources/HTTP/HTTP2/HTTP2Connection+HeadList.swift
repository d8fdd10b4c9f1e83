import PoiseBytes

extension HTTP2Connection {
    /// Whether the peer said that it takes no request head of this size. §10.5.1
    ///
    /// - Parameter text: as ``sendHead(slot:_:endStream:isHTTPS:neverIndexed:workspace:to:)`` takes it. Not read where the
    ///   peer has announced nothing.
    public func isBeyondPeer(_ text: Span<UInt8>) -> Bool {
        peerHeadListBytesMax < .max && Self.headListBytes(ofRequest: text) > peerHeadListBytesMax
    }

    /// A request head's size as §6.5.2 counts it: names and values, and 32 for each field. `Connection` and what else
    /// stays behind on this hop is counted too, as the head may be a little smaller, but never larger.
    static func headListBytes(ofRequest text: Span<UInt8>) -> Int {
        // The request line has the values of :method and :path, two spaces and 10 bytes more; then comes :scheme.
        let names = ":method:path:scheme".utf8.count + "https".utf8.count + 3 * 32
        var (size, lineStart, isFirst) = (names, 0, true)
        for index in text.indices where text[index] == 0x0A {
            // Without its end, and without what is between the name and the value.
            let length = index &- lineStart &- 1
            if isFirst {
                size &+= max(0, length &- 10)
            } else if length > 0 {
                size &+= length &- 2 &+ 32
            }
            (lineStart, isFirst) = (index &+ 1, false)
        }
        // `Host` is called `:authority`.
        return size &+ 6
    }
}
