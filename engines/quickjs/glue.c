/* The engine's outside: what the host calls in the guest and what the guest asks of the host.
 *
 * The guest is QuickJS-ng with one runtime and one context that live in linear memory. It is used in two steps, which
 * may be years and machines apart: a builder calls sublet_start, sublet_prelude and sublet_build, and the memory that
 * is left becomes a function's image; a worker maps that image and calls sublet_attempt once. So nothing here may keep
 * state anywhere but in linear memory, and the C stack must be empty between two calls.
 *
 * The JavaScript side (the prelude) is handed in by the host: this file holds only what JavaScript cannot do. The guest
 * has no files, no network, no threads and no WASI; its whole view of the world is the imports below.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "quickjs.h"

/* immortal.c */
void sublet_make_immortal(JSRuntime *rt);

#define IMPORT(name) __attribute__((import_module("sublet"), import_name(name))) extern
#define EXPORT(name) __attribute__((export_name(name)))

/* Microseconds since 1970. */
IMPORT("now_us") int64_t host_now_us(void);
/* Milliseconds until the deadline, never negative. */
IMPORT("remaining_ms") int32_t host_remaining_ms(void);
/* Copies the call's input, of the length that the call said, to `to`. */
IMPORT("input") void host_input(char *to);
/* One line of the log, UTF-8 without its line feed. */
IMPORT("log") void host_log(const char *text, size_t length);
/* A synchronous operation of the host, by number (crates/sandbox/src/wasm/host/call.rs). What it answers stays with the
 * host until `reply` takes it: its length, or, when it refused, -1 - the length of the text that says why. */
IMPORT("call") int32_t host_call(int32_t operation, const char *data, size_t length);
/* Copies the last answer of `call`, or the last message of `wait`, to `to`. */
IMPORT("reply") void host_reply(char *to);
/* Waits until a message comes from outside (then its length) or until that time in microseconds since 1970 (then -1);
 * a negative time is none. The attempt gives up its turn meanwhile. */
IMPORT("wait") int32_t host_wait(int64_t until_us);
/* The call's end; called exactly once in build and attempt. */
IMPORT("finish") void host_finish(int32_t kind, const char *text, size_t length);

/* Kinds of an end; crates/sandbox/src/wasm/host.rs has the same numbers. */
enum {
    /* JSON text: the result. */
    FINISH_RESULT = 0,
    /* JSON text: {"errorType", "errorMessage", "stackTrace"}. */
    FINISH_FAILURE = 1,
    /* No text: the promise cannot settle any more, for no job is left. */
    FINISH_NEVER_SETTLED = 2,
    /* No text: there was an error, and describing it failed too (out of memory, as a rule). */
    FINISH_INDESCRIBABLE = 3,
};

/* Shadow stack that JavaScript may use, of the 1 MiB that the linker gives (build.sh); the rest is for C functions that
 * do not check. The host's max_wasm_stack is sized so that this limit is always met first. */
#define STACK_BYTES (768 * 1024)
/* Garbage that an attempt may make before cycles are looked for: a collection walks, and so copies, the whole image. */
#define GC_HEADROOM_BYTES (4 * 1024 * 1024)

static JSRuntime *runtime;
static JSContext *context;
/* The prelude's functions; see prelude/hooks.js. */
static JSValue hook_resolve, hook_load, hook_build, hook_attempt, hook_describe, hook_due, hook_turn, hook_unhandled, hook_done;
static uint64_t random_state;

/* Called by the linker's start-up code convention; naming it here keeps the linker from wrapping every export in it. */
extern void __wasm_call_ctors(void);

/* --- the C library's view of the world -------------------------------------------------------------------------- */

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    int64_t now = host_now_us();
    (void)zone;
    time->tv_sec = now / 1000000;
    time->tv_usec = now % 1000000;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int64_t now = host_now_us();
    (void)clock;
    time->tv_sec = now / 1000000;
    time->tv_nsec = (now % 1000000) * 1000;
    return 0;
}

/* wasi-libc's standard streams pull these in. Defining the symbols here resolves them inside the guest, so that the
 * module imports no WASI: every call answers "bad descriptor" (8). */
int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t a, int32_t b, int32_t c, int32_t d) { return 8; }
int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t a, int64_t b, int32_t c, int32_t d) { return 8; }
int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t a) { return 8; }
int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t a, int32_t b) { return 8; }
_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) { __builtin_trap(); }

/* --- host functions for the prelude ----------------------------------------------------------------------------- */

static JSValue js_log(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, arguments[0]);
    if (!text)
        return JS_EXCEPTION;
    host_log(text, length);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

static JSValue js_remaining(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    return JS_NewInt32(ctx, host_remaining_ms());
}

static JSValue js_micros(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    return JS_NewFloat64(ctx, (double)host_now_us());
}

/* Half a character, which no encoding has, becomes U+FFFD in place: both take three bytes. Text of ASCII alone may be the
 * engine's own copy of the string, but has nothing to replace. */
static void make_well_formed(const char *text, size_t length)
{
    unsigned char *bytes = (unsigned char *)text;
    for (size_t i = 0; i + 2 < length; i++) {
        if (bytes[i] == 0xed && bytes[i + 1] >= 0xa0) {
            bytes[i] = 0xef;
            bytes[i + 1] = 0xbf;
            bytes[i + 2] = 0xbd;
        }
    }
}

static void *resize_buffer(JSRuntime *rt, void *opaque, void *bytes, size_t size)
{
    return js_realloc_rt(rt, bytes, size);
}

/* What the host holds ready, as an ArrayBuffer. */
static JSValue take_reply(JSContext *ctx, size_t length)
{
    uint8_t *bytes = js_malloc(ctx, length + 1);
    if (!bytes)
        return JS_EXCEPTION;
    host_reply((char *)bytes);
    return JS_NewArrayBuffer(ctx, bytes, length, 0, resize_buffer, NULL, false);
}

static JSValue take_reply_text(JSContext *ctx, size_t length)
{
    char *bytes = js_malloc(ctx, length + 1);
    if (!bytes)
        return JS_EXCEPTION;
    host_reply(bytes);
    JSValue text = JS_NewStringLen(ctx, bytes, length);
    js_free(ctx, bytes);
    return text;
}

/* (operation, data) with data a string, an ArrayBuffer, a typed array or nothing. Answers as `host_call` does; when it
 * could not be asked at all, an exception is pending and `*asked` is false. */
static int32_t call_host(JSContext *ctx, JSValueConst *arguments, bool *asked)
{
    int32_t operation;
    int32_t answer = 0;
    *asked = false;
    if (JS_ToInt32(ctx, &operation, arguments[0]))
        return 0;
    if (JS_IsUndefined(arguments[1])) {
        answer = host_call(operation, NULL, 0);
    } else if (JS_IsString(arguments[1])) {
        size_t length;
        const char *text = JS_ToCStringLen(ctx, &length, arguments[1]);
        if (!text)
            return 0;
        make_well_formed(text, length);
        answer = host_call(operation, text, length);
        JS_FreeCString(ctx, text);
    } else if (JS_GetTypedArrayType(arguments[1]) >= 0) {
        size_t offset, length, whole;
        JSValue buffer = JS_GetTypedArrayBuffer(ctx, arguments[1], &offset, &length, NULL);
        if (JS_IsException(buffer))
            return 0;
        uint8_t *bytes = JS_GetArrayBuffer(ctx, &whole, buffer);
        JS_FreeValue(ctx, buffer);
        if (!bytes && length > 0)
            return 0;
        answer = host_call(operation, (char *)bytes + offset, length);
    } else {
        size_t length;
        uint8_t *bytes = JS_GetArrayBuffer(ctx, &length, arguments[1]);
        if (!bytes)
            return 0;
        answer = host_call(operation, (char *)bytes, length);
    }
    *asked = true;
    return answer;
}

static JSValue call_refused(JSContext *ctx, int32_t answer)
{
    JSValue text = take_reply_text(ctx, (size_t)(-1 - (int64_t)answer));
    if (JS_IsException(text))
        return JS_EXCEPTION;
    JSValue error = JS_NewError(ctx);
    JS_DefinePropertyValueStr(ctx, error, "message", text, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    return JS_Throw(ctx, error);
}

/* → an ArrayBuffer with the host's answer. Throws an Error with the host's text when it refuses. */
static JSValue js_call(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    bool asked;
    int32_t answer = call_host(ctx, arguments, &asked);
    if (!asked)
        return JS_EXCEPTION;
    return answer < 0 ? call_refused(ctx, answer) : take_reply(ctx, (size_t)answer);
}

/* The same, the answer as a string. */
static JSValue js_ask(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    bool asked;
    int32_t answer = call_host(ctx, arguments, &asked);
    if (!asked)
        return JS_EXCEPTION;
    return answer < 0 ? call_refused(ctx, answer) : take_reply_text(ctx, (size_t)answer);
}

/* (string) → its UTF-8 as an ArrayBuffer. */
static JSValue js_encode(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, arguments[0]);
    if (!text)
        return JS_EXCEPTION;
    make_well_formed(text, length);
    JSValue bytes = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, length);
    JS_FreeCString(ctx, text);
    return bytes;
}

/* (source, name) → the value of the script. Its first two lines are the prelude's, so that the tenant's start at 1; two,
 * because QuickJS takes a first line of 0 for "not said". */
static JSValue js_script(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    JSValue value = JS_EXCEPTION;
    size_t length;
    const char *source = JS_ToCStringLen(ctx, &length, arguments[0]);
    const char *name = JS_ToCString(ctx, arguments[1]);
    JSEvalOptions options = {
        .version = JS_EVAL_OPTIONS_VERSION,
        .eval_flags = JS_EVAL_TYPE_GLOBAL,
        .filename = name,
        .line_num = -1,
    };
    if (source && name)
        value = JS_Eval2(ctx, source, length, &options);
    JS_FreeCString(ctx, source);
    JS_FreeCString(ctx, name);
    return value;
}

/* (key) → a promise of the module's namespace. */
static JSValue js_import(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    const char *key = JS_ToCString(ctx, arguments[0]);
    if (!key)
        return JS_EXCEPTION;
    JSValue promise = JS_LoadModule(ctx, "", key, JS_UNDEFINED);
    JS_FreeCString(ctx, key);
    return promise;
}

/* xorshift64*, as QuickJS has it, on a state that the host can seed. */
static JSValue js_random(JSContext *ctx, JSValueConst this_value, int count, JSValueConst *arguments)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return JS_NewFloat64(ctx, (double)((random_state * 0x2545F4914F6CDD1D) >> 11) * 0x1p-53);
}

static void seed_random(int64_t seed)
{
    /* splitmix64, so that neighbouring seeds give unlike sequences; the state must not be 0. */
    uint64_t mixed = (uint64_t)seed + 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    mixed ^= mixed >> 31;
    random_state = mixed ? mixed : 1;
}

/* --- modules ----------------------------------------------------------------------------------------------------- */

/* (base, specifier) → the key of a file, by the prelude. */
static char *module_normalize(JSContext *ctx, const char *base, const char *specifier, void *opaque)
{
    JSValue arguments[2] = {JS_NewString(ctx, base), JS_NewString(ctx, specifier)};
    JSValue key = JS_Call(ctx, hook_resolve, JS_UNDEFINED, 2, (JSValueConst *)arguments);
    JS_FreeValue(ctx, arguments[0]);
    JS_FreeValue(ctx, arguments[1]);
    if (JS_IsException(key))
        return NULL;
    const char *text = JS_ToCString(ctx, key);
    JS_FreeValue(ctx, key);
    if (!text)
        return NULL;
    char *copy = js_strdup(ctx, text);
    JS_FreeCString(ctx, text);
    return copy;
}

/* Fills the exports of a module that is not an ES module (CommonJS, JSON): its private value is an object of them. */
static int synthetic_init(JSContext *ctx, JSModuleDef *module)
{
    JSValue exports = JS_GetModulePrivateValue(ctx, module);
    JSPropertyEnum *names = NULL;
    uint32_t count = 0;
    int status = JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        const char *name = JS_AtomToCString(ctx, names[i].atom);
        JSValue value = JS_GetProperty(ctx, exports, names[i].atom);
        if (!name || JS_IsException(value) || JS_SetModuleExport(ctx, module, name, value) < 0)
            status = -1;
        JS_FreeCString(ctx, name);
    }
    JS_FreePropertyEnum(ctx, names, count);
    JS_FreeValue(ctx, exports);
    return status;
}

static JSModuleDef *synthetic_module(JSContext *ctx, const char *key, JSValue exports)
{
    JSPropertyEnum *names = NULL;
    uint32_t count = 0;
    JSModuleDef *module = JS_NewCModule(ctx, key, synthetic_init);
    if (!module || JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK) < 0) {
        JS_FreeValue(ctx, exports);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *name = JS_AtomToCString(ctx, names[i].atom);
        if (!name || JS_AddModuleExport(ctx, module, name) < 0)
            module = NULL;
        JS_FreeCString(ctx, name);
        if (!module)
            break;
    }
    JS_FreePropertyEnum(ctx, names, count);
    if (module)
        JS_SetModulePrivateValue(ctx, module, exports);
    else
        JS_FreeValue(ctx, exports);
    return module;
}

/* The prelude's load hook gives the text of an ES module, or an object of exports. */
static JSModuleDef *module_load(JSContext *ctx, const char *key, void *opaque)
{
    JSValue key_value = JS_NewString(ctx, key);
    JSValue loaded = JS_Call(ctx, hook_load, JS_UNDEFINED, 1, (JSValueConst *)&key_value);
    JS_FreeValue(ctx, key_value);
    if (JS_IsException(loaded))
        return NULL;
    if (!JS_IsString(loaded))
        return synthetic_module(ctx, key, loaded);

    size_t length;
    const char *source = JS_ToCStringLen(ctx, &length, loaded);
    JS_FreeValue(ctx, loaded);
    if (!source)
        return NULL;
    JSValue compiled = JS_Eval(ctx, source, length, key, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    JS_FreeCString(ctx, source);
    if (JS_IsException(compiled))
        return NULL;
    /* The context's list of modules keeps it alive. */
    JSModuleDef *module = JS_VALUE_GET_PTR(compiled);
    JS_FreeValue(ctx, compiled);
    JSValue meta = JS_GetImportMeta(ctx, module);
    if (!JS_IsException(meta)) {
        JS_DefinePropertyValueStr(ctx, meta, "filename", JS_NewString(ctx, key), JS_PROP_C_W_E);
        JS_FreeValue(ctx, meta);
    }
    return module;
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

/* Takes `text`; false when it could not be turned into bytes. */
static bool finish_with(int32_t kind, JSValue text)
{
    size_t length;
    const char *bytes = JS_IsString(text) ? JS_ToCStringLen(context, &length, text) : NULL;
    JS_FreeValue(context, text);
    if (!bytes)
        return false;
    host_finish(kind, bytes, length);
    JS_FreeCString(context, bytes);
    return true;
}

/* Takes `error`. */
static void finish_failure(JSValue error)
{
    JSValue text = JS_Call(context, hook_describe, JS_UNDEFINED, 1, (JSValueConst *)&error);
    JS_FreeValue(context, error);
    if (!finish_with(FINISH_FAILURE, text))
        host_finish(FINISH_INDESCRIBABLE, NULL, 0);
}

/* --- rejections -------------------------------------------------------------------------------------------------- */

/* Promises that were rejected and that nobody listens to, in their order: from `first` to before `end`. */
static struct {
    JSValue *promises;
    size_t first, end, room;
} unheard;
static bool is_building;

static bool is_unheard(size_t i, JSValueConst promise)
{
    return JS_VALUE_GET_PTR(unheard.promises[i]) == JS_VALUE_GET_PTR(promise);
}

static void track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
    if (is_handled) {
        if (unheard.first == unheard.end)
            return;
        /* Mostly it is the first of many (Promise.all) or one of the last (what was rejected just before is awaited). */
        if (is_unheard(unheard.first, promise)) {
            JS_FreeValue(ctx, unheard.promises[unheard.first++]);
            return;
        }
        for (size_t i = unheard.end; i-- > unheard.first;) {
            if (is_unheard(i, promise)) {
                JS_FreeValue(ctx, unheard.promises[i]);
                memmove(&unheard.promises[i], &unheard.promises[i + 1], (--unheard.end - i) * sizeof(JSValue));
                return;
            }
        }
        return;
    }
    if (unheard.end == unheard.room && unheard.first > unheard.room / 2) {
        unheard.end -= unheard.first;
        memmove(unheard.promises, &unheard.promises[unheard.first], unheard.end * sizeof(JSValue));
        unheard.first = 0;
    }
    if (unheard.end == unheard.room) {
        size_t room = unheard.room ? 2 * unheard.room : 8;
        JSValue *grown = js_realloc_rt(JS_GetRuntime(ctx), unheard.promises, room * sizeof(JSValue));
        /* Then nobody is told of this one, as of all else where there is no memory left. */
        if (!grown)
            return;
        unheard.promises = grown;
        unheard.room = room;
    }
    unheard.promises[unheard.end++] = JS_DupValue(ctx, promise);
}

/* No job is left that could still listen: hands each to the prelude, and ends the call with what that makes of it, if it makes
 * anything of it. */
static bool ends_for_unheard(void)
{
    while (unheard.first < unheard.end) {
        JSValue promise = unheard.promises[unheard.first++];
        JSValue arguments[2] = {JS_PromiseResult(context, promise), promise};
        JSValue error = JS_Call(context, hook_unhandled, JS_UNDEFINED, 2, (JSValueConst *)arguments);
        JS_FreeValue(context, arguments[0]);
        JS_FreeValue(context, promise);
        if (!JS_IsUndefined(error)) {
            finish_failure(JS_IsException(error) ? JS_GetException(context) : error);
            return true;
        }
    }
    return false;
}

/* One job, if there is any. What it throws is nobody's: jobs of promises reject them instead. */
static bool run_job(void)
{
    JSContext *job_context;
    int status = JS_ExecutePendingJob(runtime, &job_context);
    if (status < 0)
        JS_FreeValue(context, JS_GetException(context));
    return status != 0;
}

/* What the prelude's `due` answers when no timer runs and something outside is awaited, and when nothing is. */
enum { DUE_WHEN_TOLD = -1, DUE_NEVER = -2 };

enum waited { WAITED, NOTHING_TO_WAIT_FOR, WAITED_AND_THREW };

/* No job is left: waits for a timer or a message and hands it to the prelude. An exception, of a timer's callback say, is
 * then pending. */
static enum waited wait_outside(void)
{
    double due = DUE_NEVER;
    JSValue answer = JS_Call(context, hook_due, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(answer) || JS_ToFloat64(context, &due, answer))
        return WAITED_AND_THREW;
    JS_FreeValue(context, answer);
    if (due == DUE_NEVER)
        return NOTHING_TO_WAIT_FOR;
    int32_t length = host_wait(due < 0 ? DUE_WHEN_TOLD : (int64_t)due);
    JSValue message = length < 0 ? JS_UNDEFINED : take_reply(context, (size_t)length);
    JSValue turned = JS_IsException(message)
                         ? JS_EXCEPTION
                         : JS_Call(context, hook_turn, JS_UNDEFINED, 1, (JSValueConst *)&message);
    JS_FreeValue(context, message);
    if (JS_IsException(turned))
        return WAITED_AND_THREW;
    JS_FreeValue(context, turned);
    return WAITED;
}

/* The result is there. The jobs that are left are done too, as Node does them, for who is to listen to what was rejected may still
 * be on the way; and if there were any, or it is a build, the prelude is asked whether all is well. Whether the call ended
 * otherwise. */
static bool ends_for_what_is_left(void)
{
    bool is_asked = is_building;
    for (;;) {
        while (run_job())
            is_asked = true;
        if (unheard.first == unheard.end)
            break;
        if (ends_for_unheard())
            return true;
    }
    if (!is_asked)
        return false;
    JSValue building = JS_NewBool(context, is_building);
    JSValue done = JS_Call(context, hook_done, JS_UNDEFINED, 1, (JSValueConst *)&building);
    bool fails = JS_IsException(done);
    if (fails)
        finish_failure(JS_GetException(context));
    JS_FreeValue(context, done);
    return fails;
}

/* Runs jobs, and waits where there are none, until `promise` (taken; a promise of JSON text) settles or nothing is left
 * that could settle it. */
static void finish_settled(JSValue promise)
{
    if (JS_IsException(promise)) {
        finish_failure(JS_GetException(context));
        return;
    }
    while (JS_PromiseState(context, promise) == JS_PROMISE_PENDING) {
        if (run_job())
            continue;
        if (unheard.first < unheard.end) {
            if (ends_for_unheard()) {
                JS_FreeValue(context, promise);
                return;
            }
            continue;
        }
        enum waited waited = wait_outside();
        if (waited == NOTHING_TO_WAIT_FOR)
            break;
        if (waited == WAITED_AND_THREW) {
            /* Nobody can catch it, so it ends the call, as it ends a process in Node. */
            finish_failure(JS_GetException(context));
            JS_FreeValue(context, promise);
            return;
        }
    }
    if (JS_PromiseState(context, promise) == JS_PROMISE_FULFILLED && ends_for_what_is_left()) {
        JS_FreeValue(context, promise);
        return;
    }
    switch (JS_PromiseState(context, promise)) {
    case JS_PROMISE_FULFILLED:
        if (!finish_with(FINISH_RESULT, JS_PromiseResult(context, promise)))
            host_finish(FINISH_INDESCRIBABLE, NULL, 0);
        break;
    case JS_PROMISE_REJECTED:
        finish_failure(JS_PromiseResult(context, promise));
        break;
    default:
        host_finish(FINISH_NEVER_SETTLED, NULL, 0);
    }
    JS_FreeValue(context, promise);
}

/* --- input ------------------------------------------------------------------------------------------------------- */

/* `length` bytes of input with a zero byte behind them, or NULL when there is no memory. */
static char *take_input(size_t length)
{
    char *buffer = malloc(length + 1);
    if (buffer) {
        host_input(buffer);
        buffer[length] = 0;
    }
    return buffer;
}

/* Wiped, for freed memory would otherwise stay in the image as it is. */
static void drop_input(char *buffer, size_t length)
{
    memset(buffer, 0, length);
    free(buffer);
}

/* --- the heap ---------------------------------------------------------------------------------------------------- */

/* Blocks up to this size come from QuickJS's own arenas, one for each of a few dozen sizes. */
#define SMALL_BLOCK_BYTES 504
#define WASM_PAGE_BYTES 65536

/* As many as fill the memory that the engine asks for. */
#define LARGE_BLOCKS_MAX 64

/* Called once, when the prelude is evaluated. Its evaluation leaves holes all over the heap: the small ones are filled, for
 * ever, and a new arena is begun for each size of block. What a package and an attempt allocate then lies together, so
 * that an attempt touches (and so copies) half as many pages. What stays free is wiped: an image is kept as its difference
 * from the base's, also where nothing is. */
static void pack_heap(void)
{
    char *large[LARGE_BLOCKS_MAX];
    size_t count = 0, end = __builtin_wasm_memory_size(0) * WASM_PAGE_BYTES;
    char *last = NULL;
    /* Holds whatever is large and free, but for the last two pages, so that the memory does not grow. */
    while (count < LARGE_BLOCKS_MAX && (size_t)last + 3 * WASM_PAGE_BYTES < end) {
        char *block = malloc(WASM_PAGE_BYTES);
        if (!block)
            break;
        memset(block, 0, WASM_PAGE_BYTES);
        large[count++] = block;
        if (block > last)
            last = block;
    }
    /* Then what comes from before the end is a small hole. */
    for (size_t size = WASM_PAGE_BYTES / 2; size >= 16; size = size > 1024 ? size / 2 : size - 8) {
        char *block = malloc(size);
        for (; block && block < last; block = malloc(size))
            memset(block, 0, size);
        free(block);
    }
    for (size_t i = 0; i < count; i++)
        free(large[i]);
    for (size_t size = 8; size <= SMALL_BLOCK_BYTES; size += 8) {
        bool is_new = false;
        while (!is_new) {
            char *block = js_malloc(context, size);
            if (!block)
                return;
            memset(block, 0, size);
            is_new = block > last;
            /* A little more than the blocks, for what malloc keeps between them. */
            for (size_t i = 0; i < count && !is_new; i++)
                is_new = block >= large[i] && block < large[i] + WASM_PAGE_BYTES + 16;
        }
    }
}

/* --- what the host calls ----------------------------------------------------------------------------------------- */

EXPORT("sublet_start") int32_t sublet_start(void)
{
    __wasm_call_ctors();
    runtime = JS_NewRuntime();
    context = runtime ? JS_NewContext(runtime) : NULL;
    if (!context)
        return -1;
    JS_SetMaxStackSize(runtime, STACK_BYTES);
    JS_SetModuleLoaderFunc(runtime, module_normalize, module_load, NULL);
    JS_SetHostPromiseRejectionTracker(runtime, track_rejection, NULL);
    JSValue global = JS_GetGlobalObject(context);
    JSValue math = JS_GetPropertyStr(context, global, "Math");
    JS_DefinePropertyValueStr(context, math, "random", JS_NewCFunction(context, js_random, "random", 0),
                              JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_FreeValue(context, math);
    JS_FreeValue(context, global);
    return 0;
}

/* The input is the prelude: an expression whose value is a function of the host object that returns the hooks. */
EXPORT("sublet_prelude") int32_t sublet_prelude(size_t length)
{
    char *buffer = take_input(length);
    if (!buffer)
        return -1;
    JSValue wrapper = JS_Eval(context, buffer, length, "sublet:prelude", JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
    drop_input(buffer, length);
    JSValue host = JS_NewObject(context);
    JS_SetPropertyStr(context, host, "log", JS_NewCFunction(context, js_log, "log", 1));
    JS_SetPropertyStr(context, host, "remaining", JS_NewCFunction(context, js_remaining, "getRemainingTimeInMillis", 0));
    JS_SetPropertyStr(context, host, "micros", JS_NewCFunction(context, js_micros, "micros", 0));
    JS_SetPropertyStr(context, host, "call", JS_NewCFunction(context, js_call, "call", 2));
    JS_SetPropertyStr(context, host, "ask", JS_NewCFunction(context, js_ask, "ask", 2));
    JS_SetPropertyStr(context, host, "encode", JS_NewCFunction(context, js_encode, "encode", 1));
    JS_SetPropertyStr(context, host, "script", JS_NewCFunction(context, js_script, "script", 2));
    JS_SetPropertyStr(context, host, "import", JS_NewCFunction(context, js_import, "import", 1));
    JSValue hooks = JS_Call(context, wrapper, JS_UNDEFINED, 1, (JSValueConst *)&host);
    JS_FreeValue(context, host);
    JS_FreeValue(context, wrapper);
    if (JS_IsException(hooks)) {
        JSValue error = JS_GetException(context);
        finish_with(FINISH_FAILURE, JS_ToString(context, error));
        JS_FreeValue(context, error);
        return -1;
    }
    hook_resolve = JS_GetPropertyStr(context, hooks, "resolve");
    hook_load = JS_GetPropertyStr(context, hooks, "load");
    hook_build = JS_GetPropertyStr(context, hooks, "build");
    hook_attempt = JS_GetPropertyStr(context, hooks, "attempt");
    hook_describe = JS_GetPropertyStr(context, hooks, "describe");
    hook_due = JS_GetPropertyStr(context, hooks, "due");
    hook_turn = JS_GetPropertyStr(context, hooks, "turn");
    hook_unhandled = JS_GetPropertyStr(context, hooks, "unhandled");
    hook_done = JS_GetPropertyStr(context, hooks, "done");
    JS_FreeValue(context, hooks);
    JS_RunGC(runtime);
    sublet_make_immortal(runtime);
    pack_heap();
    return 0;
}

/* The input is the package as JSON text. Ends by host_finish. */
EXPORT("sublet_build") void sublet_build(size_t length, int64_t seed)
{
    seed_random(seed);
    char *buffer = take_input(length);
    if (!buffer) {
        host_finish(FINISH_INDESCRIBABLE, NULL, 0);
        return;
    }
    JSValue package = JS_ParseJSON(context, buffer, length, "sublet:package");
    drop_input(buffer, length);
    if (JS_IsException(package)) {
        finish_failure(JS_GetException(context));
        return;
    }
    JSValue promise = JS_Call(context, hook_build, JS_UNDEFINED, 1, (JSValueConst *)&package);
    JS_FreeValue(context, package);
    is_building = true;
    finish_settled(promise);
    is_building = false;

    JSMemoryUsage usage;
    JS_RunGC(runtime);
    JS_ComputeMemoryUsage(runtime, &usage);
    JS_SetGCThreshold(runtime, usage.malloc_size + GC_HEADROOM_BYTES);
}

/* The input is three JSON texts with a zero byte between them: the event, the context object, and what is added to
 * process.env (of length 0: nothing). Ends by host_finish. */
EXPORT("sublet_attempt")
void sublet_attempt(size_t event_length, size_t context_length, size_t environment_length, int64_t seed)
{
    static const char *const names[3] = {"event", "context", "environment"};
    size_t lengths[3] = {event_length, context_length, environment_length};
    seed_random(seed);
    char *buffer = take_input(event_length + 1 + context_length + 1 + environment_length);
    if (!buffer) {
        host_finish(FINISH_INDESCRIBABLE, NULL, 0);
        return;
    }
    JSValue arguments[3];
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        arguments[i] = lengths[i] == 0 ? JS_UNDEFINED : JS_ParseJSON(context, buffer + at, lengths[i], names[i]);
        at += lengths[i] + 1;
        if (JS_IsException(arguments[i])) {
            finish_failure(JS_GetException(context));
            return;
        }
    }
    /* The environment ends with this call, so nothing is given back. */
    finish_settled(JS_Call(context, hook_attempt, JS_UNDEFINED, 3, (JSValueConst *)arguments));
}
