/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin for wpkd in C: `type = "folder"` takes releases from a folder.
 *
 * Beside each WPK file lies its digest (`sha1sum x.wpk > x.wpk.sha1`), and a
 * file `latest` holds the version that is given to those who name none.
 *
 * From the top: JSON, as much as is needed here; the answers; the five
 * operations; the stream; the table. Everything is done inside `call` and
 * `next`, which may block, so there is never anything left to cancel.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wpk_plugin.h"

#define MAX_PIECE ((uint64_t)1 << 20) /* bytes of one completion of `next` */
#define MAX_PATH 4096
#define MAX_NAME 200
#define MAX_WORD 40

static const wpk_host *host;

/* ---- JSON: finding members and strings ---------------------------------- */

/* A part of the text; `at` is NULL if there is none. */
typedef struct json {
    const char *at, *end;
} json;

static const json nothing = {NULL, NULL};

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* Behind the string that begins at `at`; NULL if it does not end. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

/* Behind the value that begins at `at`; NULL if it does not end. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        if (at >= end)
            return NULL;
        if (*at == '"') {
            at = skip_string(at, end);
            if (at == NULL)
                return NULL;
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        else if (depth == 0) { /* a number, true, false or null */
            while (at < end && *at != ',' && *at != '}' && *at != ']')
                at++;
            return at;
        }
        at++;
    } while (depth > 0);
    return at;
}

/* The value of a member of an object. */
static json member(json object, const char *key)
{
    const char *at = object.at, *end = object.end;
    if (at == NULL)
        return nothing;
    at = skip_space(at, end);
    if (at >= end || *at != '{')
        return nothing;
    for (;;) {
        const char *name, *behind;
        at = skip_space(at + 1, end);
        if (at >= end || *at != '"')
            return nothing;
        name = at + 1;
        behind = skip_string(at, end);
        if (behind == NULL)
            return nothing;
        at = skip_space(behind, end);
        if (at >= end || *at != ':')
            return nothing;
        at = skip_space(at + 1, end);
        json value = {at, skip_value(at, end)};
        if (value.end == NULL)
            return nothing;
        size_t length = (size_t)(behind - 1 - name);
        if (length == strlen(key) && memcmp(name, key, length) == 0)
            return value;
        at = skip_space(value.end, end);
        if (at >= end || *at != ',')
            return nothing;
    }
}

/* Copies a string into `into`; 0 if it is none, too long, or holds what no path
 * holds. wpkd escapes nothing but quotes, backslashes and control characters. */
static int string(json value, char *into, size_t room)
{
    size_t length = 0;
    if (value.at == NULL || *value.at != '"')
        return 0;
    for (const char *at = value.at + 1; at < value.end - 1; at++) {
        char c = *at;
        if (c == '\\') {
            c = *++at;
            if (c != '"' && c != '\\' && c != '/')
                return 0;
        }
        if (c == '\0' || length + 1 >= room)
            return 0;
        into[length++] = c;
    }
    into[length] = '\0';
    return 1;
}

/* ---- Answers -------------------------------------------------------------- */

static void give_back(void *owner, const uint8_t *data, size_t length)
{
    (void)data;
    (void)length;
    free(owner);
}

static wpk_buffer constant(const char *text)
{
    wpk_buffer buffer = {(const uint8_t *)text, strlen(text), NULL, NULL};
    return buffer;
}

static void complete(uint64_t token, int32_t status, uint64_t handle, wpk_buffer answer)
{
    host->complete(host, token, status, handle, answer, constant(""));
}

/* `text` as a JSON string, cut where `room` ends. Bytes that are no UTF-8 are
 * not expected: all of ours come from JSON or from this file. */
static void quote(const char *text, char *into, size_t room)
{
    size_t length = 0;
    into[length++] = '"';
    for (; *text != '\0' && length + 8 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            into[length++] = '\\';
        if (c < 0x20)
            length += (size_t)snprintf(into + length, 7, "\\u%04x", c);
        else
            into[length++] = (char)c;
    }
    /* Not in the middle of a character. */
    while (*text != '\0' && ((unsigned char)into[length - 1] & 0x80) != 0)
        length--;
    into[length++] = '"';
    into[length] = '\0';
}

/* Completes an operation with JSON made from `format`, whose arguments must be
 * quoted already. */
static void answer(uint64_t token, int32_t status, uint64_t handle, const char *format, ...)
{
    size_t room = 4 * MAX_PATH + 1024;
    char *text = malloc(room);
    va_list arguments;
    if (text == NULL) {
        complete(token, WPK_FAILED, 0, constant("{\"message\":\"out of memory\"}"));
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(text, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) {
        free(text);
        complete(token, WPK_FAILED, 0, constant("{\"message\":\"the answer is too long\"}"));
        return;
    }
    wpk_buffer buffer = {(const uint8_t *)text, (size_t)length, text, give_back};
    complete(token, status, handle, buffer);
}

/* Completes an operation with an error: what it is about, and why. */
static void fail(uint64_t token, int32_t status, const char *about, const char *why)
{
    char text[MAX_PATH + 512], message[2 * sizeof text];
    snprintf(text, sizeof text, "%.*s: %s", MAX_PATH, about, why);
    quote(text, message, sizeof message);
    answer(token, status, 0, "{\"message\":%s}", message);
}

/* ---- The operations ------------------------------------------------------- */

/* An instance: one section of the settings. */
typedef struct folder {
    char path[MAX_PATH];
} folder;

static void open_instance(json question, uint64_t token)
{
    char home[MAX_PATH], path[MAX_PATH];
    if (!string(member(member(question, "settings"), "folder"), path, sizeof path)) {
        complete(token, WPK_SETTINGS, 0,
                 constant("{\"message\":\"the settings are wrong\",\"problems\":[{\"key\":"
                          "\"folder\",\"message\":\"must name a folder\"}]}"));
        return;
    }
    if (!string(member(member(question, "context"), "home"), home, sizeof home)) {
        fail(token, WPK_MALFORMED, "home", "is missing");
        return;
    }
    folder *instance = malloc(sizeof *instance);
    if (instance == NULL) {
        fail(token, WPK_FAILED, path, "out of memory");
        return;
    }
    int length = path[0] == '/' ? snprintf(instance->path, MAX_PATH, "%s", path)
                                : snprintf(instance->path, MAX_PATH, "%s/%s", home, path);
    if (length < 0 || length >= MAX_PATH) {
        free(instance);
        fail(token, WPK_FAILED, path, "is too long for a path");
        return;
    }
    complete(token, WPK_OK, (uint64_t)(uintptr_t)instance, constant("{}"));
}

/* A word of an agent that becomes part of a file's name: it must not lead out
 * of the folder. */
static int word(json value, char *into)
{
    if (!string(value, into, MAX_WORD + 1) || into[0] == '\0' || into[0] == '.')
        return 0;
    return into[strspn(into, "0123456789abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")] == '\0';
}

static const char *renamed(const char *arch, const char *x86_64)
{
    if (strcmp(arch, "x86_64") == 0)
        return x86_64;
    return strcmp(arch, "aarch64") == 0 ? "arm64" : arch;
}

/* What follows the version in the name of a platform's file, from v4.9.0 on. */
static int suffix(json release, char *into, size_t room)
{
    json platform = member(release, "platform");
    char name[MAX_WORD + 1], arch[MAX_WORD + 1], type[8];
    if (!word(member(platform, "os_platform"), name))
        return 0;
    if (strcmp(name, "windows") == 0)
        return snprintf(into, room, "windows.wpk") > 0;
    if (!word(member(platform, "os_arch"), arch))
        return 0;
    if (strcmp(name, "darwin") == 0)
        return snprintf(into, room, "macos_%s.pkg.wpk", renamed(arch, "intel64")) > 0;
    if (!string(member(release, "package_type"), type, sizeof type))
        return 0;
    if (strcmp(type, "deb") == 0)
        return snprintf(into, room, "linux_%s.deb.wpk", renamed(arch, "amd64")) > 0;
    return strcmp(type, "rpm") == 0 && snprintf(into, room, "linux_%s.rpm.wpk", arch) > 0;
}

/* The first word of a small file in the folder; 0 with errno if there is none. */
static int first_word(const folder *instance, const char *name, char *into, size_t room)
{
    char path[MAX_PATH + MAX_NAME + 8];
    snprintf(path, sizeof path, "%s/%s", instance->path, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t length = fread(into, 1, room - 1, file);
    int failed = ferror(file) ? EIO : 0;
    fclose(file);
    into[length] = '\0';
    into[strcspn(into, " \t\r\n")] = '\0';
    errno = failed;
    return !failed;
}

static void resolve(const folder *instance, json wanted, uint64_t token)
{
    json release = member(wanted, "release"), target = member(release, "target");
    char version[MAX_WORD + 1], rest[MAX_NAME], name[MAX_NAME + 1], sums[MAX_NAME + 8];
    char sha1[64], path[MAX_PATH + MAX_NAME + 8], quoted[2 * sizeof path];
    struct stat about;
    unsigned part;
    char more;
    if (release.at == NULL) {
        fail(token, WPK_NO_FILE, instance->path, "holds releases only");
        return;
    }
    if (!suffix(release, rest, sizeof rest)) {
        fail(token, WPK_NO_PACKAGE, instance->path, "has no files for such a platform");
        return;
    }
    if (stat(instance->path, &about) != 0) {
        fail(token, WPK_NOT_REACHABLE, instance->path, strerror(errno));
        return;
    }
    if (string(target, version, sizeof version) && strcmp(version, "latest") == 0) {
        if (!first_word(instance, "latest", version, sizeof version)) {
            fail(token, WPK_NOT_LISTED, instance->path, "has no readable file `latest`");
            return;
        }
    } else if (!word(member(target, "exactly"), version)) {
        fail(token, WPK_NOT_LISTED, instance->path, "what is wanted is no version");
        return;
    }
    if (version[strspn(version, "v0123456789.")] != '\0' ||
        sscanf(version, "v%9u.%9u.%9u%c", &part, &part, &part, &more) != 3) {
        fail(token, WPK_NOT_LISTED, version, "is no version");
        return;
    }
    int length = snprintf(name, sizeof name, "wazuh_agent_%s_%s", version, rest);
    if (length < 0 || (size_t)length >= sizeof name) {
        fail(token, WPK_NOT_LISTED, name, "is too long a name");
        return;
    }
    snprintf(path, sizeof path, "%s/%s", instance->path, name);
    snprintf(sums, sizeof sums, "%s.sha1", name);
    if (!first_word(instance, sums, sha1, sizeof sha1)) {
        int status = errno == ENOENT ? WPK_NOT_LISTED : WPK_NOT_REACHABLE;
        fail(token, status, path, "its digest, the same name with .sha1, cannot be read");
        return;
    }
    if (strlen(sha1) != 40 || sha1[strspn(sha1, "0123456789abcdefABCDEF")] != '\0') {
        fail(token, WPK_NO_FILE, path, "what lies beside it as .sha1 is no digest");
        return;
    }
    quote(path, quoted, sizeof quoted);
    answer(token, WPK_OK, 0,
           "{\"file_name\":\"%s\",\"version\":\"%s\",\"sha1\":\"%s\",\"source\":{\"download\":%s}}",
           name, version, sha1, quoted);
}

/* A stream is its file descriptor, plus one: handles are any numbers, and 0
 * would be easy to mistake for none. */
static void fetch(const folder *instance, json offer, uint64_t token)
{
    char name[MAX_NAME + 1], path[MAX_PATH + MAX_NAME + 8];
    struct stat about;
    if (!string(member(offer, "file_name"), name, sizeof name) || name[0] == '\0' ||
        strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
        fail(token, WPK_NO_FILE, instance->path, "the offer is none of ours");
        return;
    }
    snprintf(path, sizeof path, "%s/%s", instance->path, name);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no waiting for a FIFO */
    if (file < 0) {
        fail(token, WPK_NO_FILE, path, strerror(errno));
        return;
    }
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(file);
        fail(token, WPK_NO_FILE, path, "is no regular file");
        return;
    }
    complete(token, WPK_OK, (uint64_t)file + 1, constant("{}"));
}

static void call(const wpk_plugin *plugin, uint64_t instance, uint32_t operation, wpk_slice slice,
                 wpk_slice body, uint64_t token)
{
    const folder *self = (const folder *)(uintptr_t)instance;
    const char *text = (const char *)slice.data;
    json question = {text, text + slice.length};
    (void)plugin;
    (void)body;
    switch (operation) {
    case WPK_OP_CHECK: /* the schema of the description says all there is to say */
        complete(token, WPK_OK, 0, constant("[]"));
        break;
    case WPK_OP_OPEN:
        open_instance(question, token);
        break;
    case WPK_OP_SERVES: {
        /* A request that names a repository of its own does not mean this folder. */
        json release = member(question, "release");
        int ours = release.at != NULL && member(release, "repository").at == NULL;
        complete(token, WPK_OK, 0, constant(ours ? "true" : "false"));
        break;
    }
    case WPK_OP_RESOLVE:
        resolve(self, question, token);
        break;
    case WPK_OP_FETCH:
        fetch(self, question, token);
        break;
    default:
        complete(token, WPK_UNSUPPORTED, 0, constant("{\"message\":\"not a provider's\"}"));
    }
}

/* ---- The stream ----------------------------------------------------------- */

static void next(const wpk_plugin *plugin, uint64_t stream, uint64_t max_bytes, uint64_t token)
{
    size_t room = (size_t)(max_bytes < MAX_PIECE ? max_bytes : MAX_PIECE);
    uint8_t *data = malloc(room);
    (void)plugin;
    if (data == NULL) {
        fail(token, WPK_FAILED, "the next piece", "out of memory");
        return;
    }
    ssize_t length;
    do
        length = read((int)(stream - 1), data, room);
    while (length < 0 && errno == EINTR);
    if (length > 0) {
        wpk_buffer piece = {data, (size_t)length, data, give_back};
        host->complete(host, token, WPK_OK, 0, constant(""), piece);
        return;
    }
    int error = errno;
    free(data);
    if (length == 0)
        complete(token, WPK_END, 0, constant(""));
    else
        fail(token, WPK_NO_FILE, "reading the file", strerror(error));
}

static void close_stream(const wpk_plugin *plugin, uint64_t stream)
{
    (void)plugin;
    close((int)(stream - 1));
}

static void close_instance(const wpk_plugin *plugin, uint64_t instance)
{
    (void)plugin;
    free((folder *)(uintptr_t)instance);
}

/* Nothing is ever open when `call` or `next` has returned. */
static void cancel(const wpk_plugin *plugin, uint64_t token)
{
    (void)plugin;
    (void)token;
}

static void no_answer(const wpk_plugin *plugin, uint64_t token, int32_t status, wpk_slice body)
{
    (void)plugin;
    (void)token;
    (void)status;
    (void)body;
}

/* ---- The table ------------------------------------------------------------ */

static const char description[] =
    "{\"name\":\"provider-c\",\"version\":\"1.0.0\",\"plugins\":[{\"kind\":\"provider\","
    "\"type\":\"folder\",\"schema\":{\"type\":\"object\",\"properties\":{\"folder\":{"
    "\"type\":\"string\",\"minLength\":1,\"maxLength\":1024}},\"required\":[\"folder\"],"
    "\"additionalProperties\":false}}]}";

static const wpk_plugin table = {
    {sizeof(wpk_plugin), WPK_MAJOR, WPK_MINOR, WPK_FEATURE_STREAMS},
    {(const uint8_t *)description, sizeof description - 1},
    call,
    next,
    cancel,
    close_stream,
    close_instance,
    no_answer,
};

const wpk_plugin *wpk_plugin_entry_v1(const wpk_host *from)
{
    host = from;
    return &table;
}
