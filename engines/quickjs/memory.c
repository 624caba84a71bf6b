/* memcpy, memmove and memset, in pieces. The engine is compiled so that it calls these rather than using WebAssembly's
 * instructions itself: one instruction over hundreds of megabytes is one step of the host, in which no other attempt has
 * its turn and no limit is looked at. Between two pieces both happen. Short ones, which are most, need no instruction. (The names
 * are in brackets because copy.h has macros of them.) */
#include <stddef.h>
#include <stdint.h>

#define PIECE_BYTES ((size_t)64 * 1024)
#define SHORT_BYTES 32

void *(memcpy)(void *restrict to, const void *restrict from, size_t length)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if (length <= SHORT_BYTES) {
        for (; length >= 8; length -= 8, target += 8, source += 8)
            __builtin_memcpy(target, source, 8);
        for (; length > 0; length--)
            *target++ = *source++;
        return to;
    }
    for (; length > PIECE_BYTES; length -= PIECE_BYTES, target += PIECE_BYTES, source += PIECE_BYTES)
        __builtin_memcpy(target, source, PIECE_BYTES);
    __builtin_memcpy(target, source, length);
    return to;
}

void *(memmove)(void *to, const void *from, size_t length)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target <= source || target >= source + length) {
        for (; length > PIECE_BYTES; length -= PIECE_BYTES, target += PIECE_BYTES, source += PIECE_BYTES)
            __builtin_memmove(target, source, PIECE_BYTES);
        __builtin_memmove(target, source, length);
        return to;
    }
    for (; length > PIECE_BYTES; length -= PIECE_BYTES)
        __builtin_memmove(target + length - PIECE_BYTES, source + length - PIECE_BYTES, PIECE_BYTES);
    __builtin_memmove(target, source, length);
    return to;
}

void *(memset)(void *to, int value, size_t length)
{
    unsigned char *target = to;
    if (length <= SHORT_BYTES) {
        for (; length > 0; length--)
            *target++ = (unsigned char)value;
        return to;
    }
    for (; length > PIECE_BYTES; length -= PIECE_BYTES, target += PIECE_BYTES)
        __builtin_memset(target, value, PIECE_BYTES);
    __builtin_memset(target, value, length);
    return to;
}
