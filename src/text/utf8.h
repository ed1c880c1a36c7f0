/* utf8.h: decoding and encoding of UTF-8, inline because every text passes through it. */
#ifndef BERTH_TEXT_UTF8_H
#define BERTH_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { BERTH_REPLACEMENT = 0xfffd };

/* Reads one code point at s < end and returns the bytes it took (1 to 4). An ill-formed sequence gives U+FFFD
 * and takes its maximal subpart, as the Unicode standard recommends (section 3.9, U+FFFD Substitution of
 * Maximal Subparts). */
static inline size_t berth_utf8_read(const unsigned char *s, const unsigned char *end, uint32_t *code_point)
{
    unsigned char first = s[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    *code_point = BERTH_REPLACEMENT;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4)
        return 1;
    /* The second byte's range excludes overlong forms, surrogates and values beyond U+10FFFF. */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    uint32_t value = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (s + i >= end || s[i] < low || s[i] > high)
            return i;
        value = value << 6 | (s[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *code_point = value;
    return length;
}

/* Writes a scalar value as 1 to 4 bytes and returns how many. */
static inline size_t berth_utf8_write(unsigned char *out, uint32_t code_point)
{
    if (code_point < 0x80) {
        out[0] = (unsigned char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (unsigned char)(0xc0 | code_point >> 6);
        out[1] = (unsigned char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (unsigned char)(0xe0 | code_point >> 12);
        out[1] = (unsigned char)(0x80 | (code_point >> 6 & 0x3f));
        out[2] = (unsigned char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    out[0] = (unsigned char)(0xf0 | code_point >> 18);
    out[1] = (unsigned char)(0x80 | (code_point >> 12 & 0x3f));
    out[2] = (unsigned char)(0x80 | (code_point >> 6 & 0x3f));
    out[3] = (unsigned char)(0x80 | (code_point & 0x3f));
    return 4;
}

#endif
