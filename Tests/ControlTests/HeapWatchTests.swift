import PoisePlatform
import Testing

@testable import PoiseControl

@Suite("When free memory is given back")
struct HeapWatchTests {
    private static let mebibyte = 1 << 20

    /// One look after the other: resident MiB, connections, whether it is time.
    @Test(
        "after a storm, once its connections are gone, and once",
        arguments: [
            [(17, 0, false), (109, 2000, false), (109, 2000, false), (109, 0, true), (20, 0, false), (20, 0, false)],
            // Between two looks.
            [(17, 0, false), (109, 0, true), (20, 0, false), (124, 10, true), (20, 10, false)],
            // Giving back was of no use: what is there is used.
            [(17, 0, false), (90, 0, true), (88, 0, false), (88, 0, false), (119, 0, false), (121, 0, true)],
            // In the middle of a storm, of little use then; its connections go later.
            [(17, 0, false), (131, 2000, true), (130, 2000, false), (130, 2, true), (20, 2, false), (20, 2, false)],
            [(17, 0, false), (131, 2000, true), (130, 2, true), (20, 2, false), (60, 2, true), (20, 0, false)],
            // Too little; and what open connections need.
            [(17, 0, false), (48, 0, false), (17 + 312, 10_000, false), (17 + 344, 10_000, false)],
            // Nobody knows.
            [(0, 0, false), (0, 5, false), (17, 0, false), (0, 0, false), (60, 0, true)],
        ])
    func looks(steps: [(Int, Int, Bool)]) {
        var watch = HeapWatch()
        for (number, (resident, connections, expected)) in steps.enumerated() {
            #expect(
                watch.isDue(resident: resident * Self.mebibyte, connections: connections) == expected, "look \(number)")
        }
    }

    @Test("the system tells how much is resident")
    func resident() {
        let before = ProcessMemory.resident
        #expect(before > Self.mebibyte)
        let block = [UInt8](repeating: 1, count: 64 * Self.mebibyte)
        #expect(ProcessMemory.resident > before + 32 * Self.mebibyte)
        #expect(block.last == 1)
    }
}
