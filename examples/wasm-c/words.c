// A tenant's function in C: the event comes on standard input, the result goes to standard output as JSON, and what is
// written to standard error is the log. `build.sh` makes words.wasm of it.
//
// It counts the words of `detail.title` and greets by the variable GREETING. Real programs use a JSON library; this one
// looks for what it needs by hand, so that nothing but the C library is wanted.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char event[512 * 1024];

// The text behind `"name": "`, up to its closing quote. Escapes are left as they are.
static size_t text_of(const char *json, const char *name, const char **start) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(json, key);
    if (at == NULL) return 0;
    at += strlen(key);
    at += strspn(at, " \t\r\n:");
    if (*at != '"') return 0;
    *start = ++at;
    while (*at != '\0' && *at != '"') at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    return (size_t)(at - *start);
}

int main(int argc, char **argv) {
    size_t length = fread(event, 1, sizeof event - 1, stdin);
    event[length] = '\0';

    const char *title = "";
    size_t bytes = text_of(event, "title", &title);
    if (bytes == 0) {
        fprintf(stderr, "%s: the event has no title\n", argc > 0 ? argv[0] : "words");
        return 3;
    }
    int words = 0;
    for (size_t i = 0; i < bytes; i++) words += title[i] != ' ' && (i == 0 || title[i - 1] == ' ');

    fprintf(stderr, "counted %d words\n", words);
    const char *greeting = getenv("GREETING");
    printf("{\"words\": %d, \"greeting\": \"%s %.*s\"}\n", words, greeting ? greeting : "hello", (int)bytes, title);
    return 0;
}
