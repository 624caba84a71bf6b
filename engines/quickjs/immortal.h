/* Put into quickjs.c behind its accessors of reference counts (see build.sh), where their increments and decrements were made to
 * call these.
 *
 * What the prelude left is in every image and never freed, so it need not be counted: a count that is written makes a page
 * of the image this attempt's own, which costs more than the call that did it. A count from IMMORTAL_MIN on stays as it is. */
#define IMMORTAL_MIN (1 << 29)
#define IMMORTAL (1 << 30)

static inline void js_rc_add(const void *p)
{
    int count = JS_REF_COUNT(p);
    if (likely(count < IMMORTAL_MIN))
        JS_REF_COUNT(p) = count + 1;
}

/* The new count. */
static inline int js_rc_drop(const void *p)
{
    int count = JS_REF_COUNT(p);
    if (likely(count < IMMORTAL_MIN))
        JS_REF_COUNT(p) = --count;
    return count;
}
