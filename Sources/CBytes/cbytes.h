/* Classes of bytes, 16 at a time: which of p[0]...p[15] end a run, one bit each, the first byte lowest.
 *
 * Header only, so that Swift's optimiser inlines it. Each class is written once, over four operations that exist
 * twice: for SSE2, which every x86-64 has, and in plain 64-bit arithmetic for everything else. (The usual table by
 * nibbles needs SSSE3; Swift's own SIMD16 masks compile to calls of scalar loops.)
 *
 * Who calls sees to it that 16 bytes are there.
 */
#ifndef CBYTES_H
#define CBYTES_H

#include <stdint.h>
#include <string.h>

#define POISE_INLINE static inline __attribute__((always_inline))

/* -- Plain arithmetic: two words of eight bytes. A class sets the top bit of each byte that is in it. ------------ */

struct poise_words {
    uint64_t first, second;
};

#define POISE_EACH 0x0101010101010101ull
#define POISE_TOPS 0x8080808080808080ull

POISE_INLINE uint64_t poise_word_in(uint64_t word, uint8_t low, uint8_t high) {
    /* Without its top bit a byte and a number below 128 never carry into the next byte. */
    uint64_t seven = word & ~POISE_TOPS;
    uint64_t from_low = seven + (0x80u - low) * POISE_EACH;
    uint64_t above_high = seven + (0x7Fu - high) * POISE_EACH;
    return from_low & ~above_high & ~word & POISE_TOPS;
}

POISE_INLINE struct poise_words poise_words_load(const uint8_t *p) {
    struct poise_words v;
    memcpy(&v.first, p, 8);
    memcpy(&v.second, p + 8, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v.first = __builtin_bswap64(v.first);
    v.second = __builtin_bswap64(v.second);
#endif
    return v;
}

POISE_INLINE struct poise_words poise_words_in(struct poise_words v, uint8_t low, uint8_t high) {
    struct poise_words r = {poise_word_in(v.first, low, high), poise_word_in(v.second, low, high)};
    return r;
}

POISE_INLINE struct poise_words poise_words_or(struct poise_words a, struct poise_words b) {
    struct poise_words r = {a.first | b.first, a.second | b.second};
    return r;
}

POISE_INLINE struct poise_words poise_words_lower(struct poise_words v) {
    struct poise_words r = {v.first | 0x20 * POISE_EACH, v.second | 0x20 * POISE_EACH};
    return r;
}

POISE_INLINE uint32_t poise_words_bits(struct poise_words v) {
    /* Brings the eight flags of a word, 8 bits apart, together in its top byte. */
    const uint64_t gather = 0x0102040810204080ull;
    uint32_t first = (uint32_t)((v.first >> 7) * gather >> 56);
    uint32_t second = (uint32_t)((v.second >> 7) * gather >> 56);
    return first | second << 8;
}

/* -- SSE2: a class sets all bits of each byte that is in it. ----------------------------------------------------- */

#if defined(__SSE2__)
#include <emmintrin.h>

POISE_INLINE __m128i poise_sse_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

/* low and high below 128: as signed numbers, bytes from 128 on are below every low. */
POISE_INLINE __m128i poise_sse_in(__m128i v, uint8_t low, uint8_t high) {
    if (low == high) return _mm_cmpeq_epi8(v, _mm_set1_epi8((char)low));
    __m128i from_low = _mm_cmpgt_epi8(v, _mm_set1_epi8((char)(low - 1)));
    return high == 0x7F ? from_low : _mm_and_si128(from_low, _mm_cmplt_epi8(v, _mm_set1_epi8((char)(high + 1))));
}

POISE_INLINE __m128i poise_sse_or(__m128i a, __m128i b) { return _mm_or_si128(a, b); }
POISE_INLINE __m128i poise_sse_lower(__m128i v) { return _mm_or_si128(v, _mm_set1_epi8(0x20)); }
POISE_INLINE uint32_t poise_sse_bits(__m128i v) { return (uint32_t)_mm_movemask_epi8(v); }
#endif

/* -- The classes, for both. --------------------------------------------------------------------------------------- */

/* Whatever is no letter, digit or hyphen: most field names, methods and host labels are made of these alone. */
#define POISE_NOT_NAME(kind, p)                                                                                     \
    (~poise_##kind##_bits(poise_##kind##_or(                                                                        \
         poise_##kind##_in(poise_##kind##_lower(poise_##kind##_load(p)), 'a', 'z'),                                 \
         poise_##kind##_or(                                                                                         \
             poise_##kind##_in(poise_##kind##_load(p), '0', '9'), poise_##kind##_in(poise_##kind##_load(p), '-', '-')))) & \
     0xFFFF)

/* Which bytes are dots: what parts the labels of a host name, and must not stand twice in a row. */
#define POISE_DOT(kind, p) poise_##kind##_bits(poise_##kind##_in(poise_##kind##_load(p), '.', '.'))

/* Control bytes with HTAB and DEL. Space, visible ASCII and obs-text go on. */
#define POISE_CONTROL(kind, p)                                                                                      \
    poise_##kind##_bits(poise_##kind##_or(                                                                          \
        poise_##kind##_in(poise_##kind##_load(p), 0x00, 0x1F), poise_##kind##_in(poise_##kind##_load(p), 0x7F, 0x7F)))

/* Whatever is no visible ASCII, and of that the three bytes that mean something in a request target: # % ? */
#define POISE_NOT_TARGET(kind, p)                                                                                   \
    ((~poise_##kind##_bits(poise_##kind##_in(poise_##kind##_load(p), 0x21, 0x7E)) & 0xFFFF) |                       \
     poise_##kind##_bits(poise_##kind##_or(                                                                         \
         poise_##kind##_in(poise_##kind##_load(p), '#', '#'),                                                       \
         poise_##kind##_or(                                                                                         \
             poise_##kind##_in(poise_##kind##_load(p), '%', '%'), poise_##kind##_in(poise_##kind##_load(p), '?', '?')))))

/* The portable ones are there on every machine, so that the tests compare them where they are not in use. */
POISE_INLINE uint32_t poise_portable_not_name(const uint8_t *p) { return POISE_NOT_NAME(words, p); }
POISE_INLINE uint32_t poise_portable_dot(const uint8_t *p) { return POISE_DOT(words, p); }
POISE_INLINE uint32_t poise_portable_control(const uint8_t *p) { return POISE_CONTROL(words, p); }
POISE_INLINE uint32_t poise_portable_not_target(const uint8_t *p) { return POISE_NOT_TARGET(words, p); }

#if defined(__SSE2__)
POISE_INLINE uint32_t poise_not_name(const uint8_t *p) { return POISE_NOT_NAME(sse, p); }
POISE_INLINE uint32_t poise_dot(const uint8_t *p) { return POISE_DOT(sse, p); }
POISE_INLINE uint32_t poise_control(const uint8_t *p) { return POISE_CONTROL(sse, p); }
POISE_INLINE uint32_t poise_not_target(const uint8_t *p) { return POISE_NOT_TARGET(sse, p); }
#else
POISE_INLINE uint32_t poise_not_name(const uint8_t *p) { return poise_portable_not_name(p); }
POISE_INLINE uint32_t poise_dot(const uint8_t *p) { return poise_portable_dot(p); }
POISE_INLINE uint32_t poise_control(const uint8_t *p) { return poise_portable_control(p); }
POISE_INLINE uint32_t poise_not_target(const uint8_t *p) { return poise_portable_not_target(p); }
#endif

/* -- Numbers as text: sixteen hexadecimal digits in lower case, the highest in the lowest byte of `first`. --------- */

POISE_INLINE uint64_t poise_portable_hexadecimal_half(uint32_t number) {
    /* Spreads the digits out to one per byte, then turns them around: memory wants the highest one first. */
    uint64_t digits = number;
    digits = (digits | digits << 16) & 0x0000FFFF0000FFFFull;
    digits = (digits | digits << 8) & 0x00FF00FF00FF00FFull;
    digits = (digits | digits << 4) & 0x0F0F0F0F0F0F0F0Full;
    /* 10...15 reach 16 when 6 is added; those need 0x27 more than "0" to become "a"..."f". */
    uint64_t letters = ((digits + 6 * POISE_EACH) >> 4) & POISE_EACH;
    return __builtin_bswap64(digits + '0' * POISE_EACH + letters * 0x27);
}

POISE_INLINE struct poise_words poise_portable_hexadecimal(uint64_t number) {
    struct poise_words r = {
        poise_portable_hexadecimal_half((uint32_t)(number >> 32)), poise_portable_hexadecimal_half((uint32_t)number)};
    return r;
}

#if defined(__SSE2__) && defined(__x86_64__)
POISE_INLINE struct poise_words poise_hexadecimal(uint64_t number) {
    __m128i bytes = _mm_cvtsi64_si128((long long)__builtin_bswap64(number));
    __m128i half = _mm_set1_epi8(0x0F);
    __m128i digits = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi64(bytes, 4), half), _mm_and_si128(bytes, half));
    __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(digits, _mm_set1_epi8(9)), _mm_set1_epi8(0x27));
    __m128i text = _mm_add_epi8(_mm_add_epi8(digits, _mm_set1_epi8('0')), letters);
    struct poise_words r = {
        (uint64_t)_mm_cvtsi128_si64(text), (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(text, text))};
    return r;
}
#else
POISE_INLINE struct poise_words poise_hexadecimal(uint64_t number) { return poise_portable_hexadecimal(number); }
#endif
#endif
