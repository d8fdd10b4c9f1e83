/// How Poise speaks HTTP/2 on one side.
public struct HTTP2Settings: Sendable, Equatable {
    /// Streams that may be open at once on a connection. Towards clients what is announced, towards targets also what
    /// is used where the target allows more. 1...10,000
    public var streamsMax = 100
    /// Bytes that all streams of a connection may hold unread, beyond 65,535 for each of them. 65,535...16 MiB
    public var windowBytesMax = 1 << 20
    /// Towards targets: connections per target and worker. 1...1,000
    public var connectionsMax = 8
    /// An idle peer with open streams is asked for a sign of life after this; zero turns it off.
    public var pingInterval: Nanoseconds = .seconds(30)

    public init() {}
}
