/* Put before every file of the engine (see build.sh), which is compiled without the compiler's own idea of these functions, so
 * that long ones go through memory.c. Of a length that is known and short, they are the loads and stores that the compiler makes
 * of them: the interpreter reads every operand so, and a call for each doubled the time that code takes. */
#include <string.h>

#define INLINE_BYTES_MAX 64
#define is_inline(length) (__builtin_constant_p(length) && (length) <= INLINE_BYTES_MAX)
#define memcpy(to, from, length) (is_inline(length) ? __builtin_memcpy(to, from, length) : (memcpy)(to, from, length))
#define memmove(to, from, length) (is_inline(length) ? __builtin_memmove(to, from, length) : (memmove)(to, from, length))
#define memset(to, value, length) (is_inline(length) ? __builtin_memset(to, value, length) : (memset)(to, value, length))
