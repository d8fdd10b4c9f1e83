import CPoise
import PoiseModel

/// A socket for echo messages of ICMP, to and from any address of one family.
public struct PingSocket: ~Copyable {
    public let family: IPAddress.Family
    /// Received are packets of IP, with its header in front (IPv4), and whatever replies this machine gets.
    public let isRaw: Bool
    private let descriptor: FileDescriptor

    /// - Throws: EACCES or EPERM where neither `net.ipv4.ping_group_range` nor CAP_NET_RAW allows it.
    public init(_ family: IPAddress.Family) throws(SystemError) {
        var isRaw = false
        // SAFETY: the pointer is used during the call only.
        descriptor = FileDescriptor(
            adopting: try checked(unsafe poise_ping_socket(CInt(family.rawValue), &isRaw), "socket"))
        (self.family, self.isRaw) = (family, isRaw)
    }

    /// - Returns: 0, or a positive errno.
    public func send(_ bytes: Span<UInt8>, to address: IPAddress) -> CInt {
        var target = poise_address(address, port: 0)
        // SAFETY: the kernel reads inside the span and the address only, during the call.
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe poise_send_to(descriptor.number, $0.baseAddress, $0.count, &target)
        }
        return sent < 0 ? CInt(-sent) : 0
    }

    /// The next message, at the front of `bytes`.
    ///
    /// - Returns: its size and who sent it; `nil` when there is none.
    public func receive(into bytes: inout [UInt8]) -> (count: Int, from: IPAddress)? {
        var source = poise_address()
        for _ in 0..<64 {
            // SAFETY: the kernel writes inside the array and the address only, during the call.
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe poise_receive_from(descriptor.number, $0.baseAddress, $0.count, &source)
            }
            // An error is that of some message that was sent: it is in the queue too.
            guard count >= 0 else {
                if count == -Int64(Errno.again) { return nil }
                continue
            }
            if let address = source.ip { return (Int(count), address) }
        }
        return nil
    }

    /// The next message that did not arrive.
    ///
    /// - Returns: its size, where it was to go, and a positive errno; `nil` when there is none.
    public func takeError(into bytes: inout [UInt8]) -> (count: Int, to: IPAddress, code: CInt)? {
        var target = poise_address()
        var code: CInt = 0
        // SAFETY: as above.
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe poise_receive_error(descriptor.number, $0.baseAddress, $0.count, &target, &code)
        }
        guard count >= 0, let address = target.ip else { return nil }
        return (Int(count), address, code)
    }

    /// Another descriptor of it, for a loop to watch.
    public func duplicate() throws(SystemError) -> FileDescriptor { try Sockets.duplicate(descriptor.number) }
}
