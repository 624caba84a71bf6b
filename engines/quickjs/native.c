/* The same engine compiled for this machine instead of for WebAssembly: the yardstick of `cargo xtask bench` for code
 * that only computes. Evaluates the script that its argument names and prints what `run()` answers and the CPU time of
 * that call in microseconds. No part of the product. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "quickjs.h"

static double cpu_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

int main(int count, char **arguments)
{
    static char source[1 << 20];
    FILE *file = count > 1 ? fopen(arguments[1], "r") : NULL;
    if (!file)
        return 2;
    size_t length = fread(source, 1, sizeof source - 1, file);
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    JSValue global = JS_GetGlobalObject(context);
    JS_FreeValue(context, JS_Eval(context, source, length, arguments[1], JS_EVAL_TYPE_GLOBAL));
    JSValue run = JS_GetPropertyStr(context, global, "run");
    double begun = cpu_us();
    JSValue answer = JS_Call(context, run, JS_UNDEFINED, 0, NULL);
    double used = cpu_us() - begun;
    if (JS_IsException(answer))
        return 1;
    printf("%s %.0f\n", JS_ToCString(context, answer), used);
    return 0;
}
