/* A provider in C that breaks one rule of wpk_plugin.h, named by MODE at compile
 * time. With MODE "good" it breaks none, with MODE "asked" neither: it says what its
 * section demands, what it finds and which versions it has, with PARTLY not all of them. MINOR is the version it was built for. It serves releases and offers a file of
 * SIZE bytes of 5 with the digest SHA1. With KIND "observer" it is an observer instead, which shows
 * nothing, and with KIND "store" a store that can only cancel. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wpk_plugin.h"

#ifndef SIZE
#define SIZE 0
#endif
#ifndef SHA1
#define SHA1 "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#endif

#ifndef MINOR
#define MINOR WPK_MINOR
#endif

#ifndef KIND
#define KIND "provider"
#endif

static const wpk_host *host;
static size_t sent;

static int mode(const char *name) { return strcmp(MODE, name) == 0; }

static wpk_buffer constant(const char *text) {
    wpk_buffer buffer = {(const uint8_t *)text, strlen(text), NULL, NULL};
    return buffer;
}

static void give_back(void *owner, const uint8_t *data, size_t length) {
    (void)data;
    (void)length;
    free(owner);
}

static wpk_buffer owned(size_t length) {
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL) abort();
    memset(bytes, 5, length);
    wpk_buffer buffer = {bytes, length, bytes, give_back};
    return buffer;
}

static void complete(uint64_t token, int32_t status, uint64_t handle, const char *json) {
    host->complete(host, token, status, handle, constant(json), constant(""));
}

static const char *offer =
    "{\"file_name\": \"hostile.wpk\", \"sha1\": \"" SHA1 "\", \"source\": {\"download\": \"file\"}}";

static void sleep_ms(long ms) {
    struct timespec span = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&span, NULL);
}

static void *complete_late(void *token) {
    sleep_ms(6000);
    /* An owned buffer, which must come back although nobody wants it. */
    host->complete(host, (uint64_t)(uintptr_t)token, WPK_OK, 0, owned(100), owned(100));
    return NULL;
}

static void resolve(uint64_t token) {
    if (mode("crash")) {
        *(volatile int *)8 = 1;
    } else if (mode("garbage")) {
        complete(token, WPK_OK, 0, "{\"file_name\": \"x");
    } else if (mode("wrong_type")) {
        complete(token, WPK_OK, 0, "[1, 2, 3]");
    } else if (mode("binary")) {
        complete(token, WPK_OK, 0, "\xff\xfe\x01");
    } else if (mode("odd_status")) {
        complete(token, 4711, 0, "nothing");
    } else if (mode("twice")) {
        complete(token, WPK_OK, 0, offer);
        complete(token, WPK_OK, 0, offer);
    } else if (mode("unknown_token")) {
        complete(token + 1000000, WPK_OK, 0, offer);
        complete(0, WPK_OK, 0, offer);
        complete(token, WPK_OK, 0, offer);
    } else if (mode("never")) {
        /* nothing */
    } else if (mode("after_cancel")) {
        /* in cancel */
    } else if (mode("late")) {
        pthread_t thread;
        pthread_create(&thread, NULL, complete_late, (void *)(uintptr_t)token);
    } else if (mode("block")) {
        for (;;) pause();
    } else if (mode("null_with_length")) {
        wpk_buffer lie = {NULL, 1000, NULL, NULL};
        host->complete(host, token, WPK_OK, 0, lie, constant(""));
    } else if (mode("huge_length")) {
        wpk_buffer lie = {(const uint8_t *)"x", SIZE_MAX / 2, NULL, NULL};
        host->complete(host, token, WPK_OK, 0, lie, constant(""));
    } else {
        complete(token, WPK_OK, 0, offer);
    }
}

static int holds(wpk_slice json, const char *text) {
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= json.length; at++)
        if (memcmp(json.data + at, text, length) == 0) return 1;
    return 0;
}

static void observe(uint64_t token, wpk_slice json) {
    if (mode("garbage")) {
        complete(token, WPK_OK, 0, "{\"name\": \"x");
    } else if (mode("refuses")) {
        complete(token, WPK_FAILED, 0, "{\"message\": \"no room\", \"causes\": [\"a full disk\"]}");
    } else if (mode("never")) {
        /* nothing */
    } else if (mode("block")) {
        for (;;) pause();
    } else if (holds(json, "\"changes\":[")) {
        complete(token, WPK_OK, 0, "");
    } else {
        complete(token, WPK_MALFORMED, 0, "{\"message\": \"no changes\"}");
    }
}

/* How many it cancelled says what it was asked: 1 for tasks without an order, 2 for those
 * that were abandoned. */
static void cancel_tasks(uint64_t token, wpk_slice json) {
    if (holds(json, "\"which\":\"without_order\"")) complete(token, WPK_OK, 0, "1");
    else if (holds(json, "\"which\":\"abandoned\"")) complete(token, WPK_OK, 0, "2");
    else complete(token, WPK_MALFORMED, 0, "{\"message\": \"which?\"}");
}

static void call(const wpk_plugin *plugin, uint64_t instance, uint32_t operation, wpk_slice json,
                 wpk_slice body, uint64_t token) {
    (void)plugin;
    (void)instance;
    (void)json;
    (void)body;
    switch (operation) {
    case WPK_OP_CHECK: complete(token, WPK_OK, 0, "[]"); break;
    case WPK_OP_OPEN: complete(token, WPK_OK, 1, "{}"); break;
    case WPK_OP_SERVES:
        if (mode("block_in_serves")) for (;;) pause();
        complete(token, WPK_OK, 0,
                 json.length > 10 && memcmp(json.data, "{\"release\"", 10) == 0 ? "true" : "false");
        break;
    case WPK_OP_RESOLVE: resolve(token); break;
    case WPK_OP_OBSERVE: observe(token, json); break;
    case WPK_OP_SHOWN:
        if (!mode("garbage")) goto unknown;
        complete(token, WPK_OK, 0, "[{\"id\": \"x\"}]");
        break;
    case WPK_OP_CANCEL: cancel_tasks(token, json); break;
    case WPK_OP_FETCH:
        sent = 0;
        complete(token, WPK_OK, 7, "{}");
        break;
    case WPK_OP_VERSIONS:
        if (mode("garbage")) {
            complete(token, WPK_OK, 0, "[\"4.x\"]");
            break;
        }
        if (!mode("asked")) goto unknown;
#ifdef PARTLY
        complete(token, WPK_OK, 0,
                 "{\"versions\": [\"v4.9.0\"], \"incomplete\": [\"it is wet\"]}");
#else
        complete(token, WPK_OK, 0, "[\"v4.9.0\", \"v4.14.1\"]");
#endif
        break;
    case WPK_OP_DEMANDS:
        if (!mode("asked")) goto unknown;
        complete(token, WPK_OK, 0,
                 "{\"occupies\": [{\"key\": \"colour\", \"what\": {\"path\": \"/red\"}}]}");
        break;
    case WPK_OP_EXAMINE:
        if (mode("garbage")) {
            complete(token, WPK_OK, 0, "[{\"name\": \"x");
            break;
        }
        if (!mode("asked")) goto unknown;
        complete(token, WPK_OK, 0,
                 "[{\"name\": \"paint\", \"level\": \"warning\", \"detail\": \"it is wet\"}]");
        break;
    unknown:
    default: complete(token, WPK_UNSUPPORTED, 0, "{\"message\": \"not known\"}");
    }
}

static void next(const wpk_plugin *plugin, uint64_t stream, uint64_t max_bytes, uint64_t token) {
    (void)plugin;
    (void)stream;
    if (mode("too_much")) {
        host->complete(host, token, WPK_OK, 0, constant(""), owned(max_bytes + 1));
        return;
    }
    if (mode("nothing_but_more")) {
        host->complete(host, token, WPK_OK, 0, constant(""), constant(""));
        return;
    }
    size_t length = SIZE - sent < max_bytes ? SIZE - sent : (size_t)max_bytes;
    sent += length;
    if (length == 0) {
        complete(token, WPK_END, 0, "");
    } else {
        host->complete(host, token, WPK_OK, 0, constant(""), owned(length));
    }
}

static void cancel(const wpk_plugin *plugin, uint64_t token) {
    (void)plugin;
    if (mode("after_cancel")) complete(token, WPK_OK, 0, offer);
    if (mode("block")) for (;;) pause();
}

static void nothing(const wpk_plugin *plugin, uint64_t number) {
    (void)plugin;
    (void)number;
}

static wpk_plugin plugin = {
    .header = {sizeof(wpk_plugin), WPK_MAJOR, MINOR, WPK_FEATURE_STREAMS},
    .call = call,
    .next = next,
    .cancel = cancel,
    .close_stream = nothing,
    .close = nothing,
};

#ifndef ENTRY
#define ENTRY wpk_plugin_entry_v1
#endif
__attribute__((visibility("default"))) const wpk_plugin *ENTRY(const wpk_host *given);

const wpk_plugin *ENTRY(const wpk_host *given) {
    static const char *description =
        "{\"name\": \"hostile\", \"version\": \"1\", \"plugins\": [{\"kind\": \"" KIND "\", \"type\": "
        "\"hostile\", \"contract\": 2, \"schema\": {\"type\": \"object\", \"additionalProperties\": false, "
        "\"properties\": {\"colour\": {\"type\": \"string\"}}}}]}";
    host = given;
    if (mode("declines")) {
        const char *why = "the licence\nis missing";
        wpk_slice line = {(const uint8_t *)why, strlen(why)};
        host->log(host, WPK_LOG_ERROR, line);
        return NULL;
    }
    if (mode("wrong_major")) plugin.header.major = 2;
    if (mode("tiny")) plugin.header.size = 8;
    if (mode("vast")) plugin.header.size = UINT32_MAX;
    if (mode("needs_more")) plugin.header.features = 1u << 30;
    if (mode("no_call")) plugin.call = NULL;
    if (mode("no_streams")) plugin.next = NULL;
    if (mode("bad_description")) description = "{\"name\": \"hostile\"";
    if (mode("known_type"))
        description = "{\"name\": \"hostile\", \"plugins\": [{\"kind\": \"provider\", \"type\": "
                      "\"repository\"}]}";
    if (mode("old_store"))
        description = "{\"name\": \"hostile\", \"plugins\": [{\"kind\": \"provider\", \"type\": "
                      "\"hostile\"}, {\"kind\": \"store\", \"type\": \"hostile\"}]}";
    plugin.description.data = (const uint8_t *)description;
    plugin.description.length = strlen(description);
    return &plugin;
}
