import Testing

import PoiseBalancing

@Suite("hash64 is xxHash64")
struct Hash64Tests {
    @Test(
        "gives the published values",
        arguments: [
            ("", 0, 0xef46_db37_51d8_e999),
            ("a", 0, 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0, 0x44bc_2cf5_ad77_0999),
            ("12345", 1, 0x8b4d_c636_e784_c7e5),
            ("1234567", 0, 0xd3a4_6e91_0828_9359),
            ("12345678", 0, 0xd2d0_2f08_cf7c_fd4a),
            ("123456789ABC", 0x7fff_ffff, 0xae28_ae51_e1e3_be34),
            ("123456789ABCDEF1", 0, 0x2ff1_4a98_41f5_4cc3),
            ("123456789ABCDEF123456789ABCDEF1", 0, 0x107d_c0d6_700d_877b),
            ("123456789ABCDEF123456789ABCDEF12", 0, 0xc5b0_9beb_b8cd_6667),
            ("123456789ABCDEF123456789ABCDEF123", 1, 0x5446_339f_8ae5_9264),
            ("123456789ABCDEF123456789ABCDEF123456789", 0x7fff_ffff, 0x4b43_82cf_42fd_e13f),
            (String(repeating: "123456789ABCDEF", count: 9), 0, 0xafc2_7fb9_850d_0722),
        ] as [(String, UInt64, UInt64)])
    func vectors(text: String, seed: UInt64, hash: UInt64) {
        #expect(hash64(Array(text.utf8).span, seed: seed) == hash)
    }

    @Test("gives the published value of 100 KiB")
    func long() {
        #expect(hash64(Array(repeating: UInt8.max, count: 102_400).span) == 0x2f1b_b6aa_5d0c_abcc)
    }
}
