// What a C program can do as a tenant's module; tests/sandbox/modules.rs says which part by the event, a bare JSON text.
// Built by: examples/wasm-c/build.sh crates/sandbox/tests/data/probe.c crates/sandbox/tests/data/probe.wasm

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char event[1024];
static int left_behind = 0;
static char line[4096];
// Keeps the compiler from leaving out what nobody looks at.
static char *volatile kept;

static int is(const char *name) { return strstr(event, name) != NULL; }

static int deeper(int depth);
static int (*volatile next)(int) = deeper;
static int deeper(int depth) { return depth < 0 ? 0 : next(depth + 1) + 1; }

static long long now_ns(clockid_t clock) {
    struct timespec at;
    if (clock_gettime(clock, &at) != 0) return -errno;
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int error_of(int result) { return result < 0 ? errno : 0; }

int main(int argc, char **argv) {
    event[fread(event, 1, sizeof event - 1, stdin)] = '\0';
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';

    if (is("world")) {
        printf("{\"arguments\": [\"%s\"], \"count\": %d, \"environment\": [", argv[0], argc);
        for (char **at = environ; *at != NULL; at++) {
            char *end = strchr(*at, '=');
            printf("%s\"%.*s\"", at == environ ? "" : ", ", (int)(end - *at), *at);
        }
        printf("]}");
    } else if (is("random")) {
        unsigned char bytes[16];
        if (getentropy(bytes, sizeof bytes) != 0) return 1;
        putchar('"');
        for (size_t i = 0; i < sizeof bytes; i++) printf("%02x", bytes[i]);
        putchar('"');
    } else if (is("clocks")) {
        printf("{\"real\": %lld, \"steady\": %lld}", now_ns(CLOCK_REALTIME), now_ns(CLOCK_MONOTONIC));
    } else if (is("sleep")) {
        long long before = now_ns(CLOCK_MONOTONIC);
        usleep(is("long") ? 60000000 : 80000);
        printf("%lld", (now_ns(CLOCK_MONOTONIC) - before) / 1000000);
    } else if (is("files")) {
        struct stat about;
        printf("[%d, %d, %d, %d, %d]", error_of(open("/etc/passwd", O_RDONLY)), error_of(open("new", O_CREAT | O_WRONLY, 0600)),
               error_of(mkdir("folder", 0700)), error_of(stat("/", &about)), error_of((int)lseek(1, 0, SEEK_SET)));
    } else if (is("state")) {
        char *heap = malloc(64);
        int seen = left_behind + (memcmp(heap, "left", 4) == 0);
        memcpy(heap, "left", 4);
        left_behind = 1;
        printf("%d", seen);
    } else if (is("recursion")) {
        printf("%d", deeper(0));
    } else if (is("noise")) {
        printf("half of a {");
    } else if (is("flood of results")) {
        for (int i = 0; i < 1000; i++) fwrite(line, 1, sizeof line, stdout);
    } else if (is("flood of words")) {
        for (int i = 0; i < 1000; i++) fwrite(line, 1, sizeof line, stderr);
        fprintf(stderr, "the last word\n");
        return 9;
    } else if (is("memory")) {
        for (;;) {
            char *piece = malloc(1 << 20);
            if (piece == NULL) abort();
            memset(piece, 1, 1 << 20);
            kept = piece;
        }
    } else if (is("loop")) {
        for (volatile unsigned i = 0;; i++) {}
    }
    return 0;
}
