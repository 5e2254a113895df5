/* SPDX-License-Identifier: Apache-2.0
 *
 * wpk_plugin.h - the interface between wpkd and a plugin that is a shared
 * library, version 1.0. C11 and C++17.
 *
 * IN SHORT
 *   A plugin exports one function, wpk_plugin_entry_v1. wpkd calls it once, with
 *   a table of its own functions, and gets the plugin's table back. From then on
 *   wpkd starts operations with `call` and `next`, and the plugin ends each of
 *   them, now or later and from any thread, with `complete`.
 *
 * OWNERSHIP
 *   wpk_slice   borrowed: valid until the function it is passed to returns.
 *               Copy what is needed longer.
 *   wpk_buffer  owned: whoever receives one calls its `release` exactly once,
 *               from any thread, at any later time. wpkd receives them with
 *               `complete` and releases them even if it ignores the completion.
 *   Tables      live as long as the process. wpkd never unloads a library, never
 *               changes or frees its table, and expects the same of the plugin's.
 *   JSON is UTF-8 without a terminating zero. No string here ends with a zero.
 *
 * THREADS
 *   Every function of both tables may be called from any thread, several at the
 *   same time, also from inside another one (a plugin may complete an operation
 *   inside `call`). wpkd calls a plugin only on threads it keeps for that plugin
 *   (up to 16), so `call` and `next` may block - but the deadline runs, and
 *   returning at once is kinder. `cancel`, `close_stream`, `close` and `answer`
 *   come on other threads and must return quickly.
 *
 * TOKENS
 *   An operation has a token: a number wpkd chose, never 0, never used twice in
 *   the life of the process, no pointer. It is completed exactly once. A second
 *   completion, one that comes too late, or one of a token that was never given
 *   is ignored and logged; a plugin that goes on like that is quarantined.
 *
 * DEADLINES AND QUARANTINE
 *   Every operation but WPK_OP_SERVE and WPK_OP_CONNECTED has a deadline ([[plugin]] deadline in
 *   wpkd's settings). When it passes, or when wpkd is not interested any more,
 *   wpkd calls `cancel(token)`. The operation must still be completed, within
 *   the grace time ([[plugin]] grace), as WPK_CANCELLED or with its result.
 *   A plugin that lets the grace time pass is quarantined: it is not called
 *   again until wpkd is started anew, its open operations end as errors, and
 *   wpkd goes on without it. The log says which operation it was.
 *
 * ERRORS
 *   `complete` with any status but WPK_OK and WPK_END carries JSON:
 *     {"message": "what happened and what to do", "causes": ["because of", ...]}
 *   `causes` may be left out. Messages are shown to administrators and callers;
 *   they must hold no secret.
 *
 * LIMITS
 *   JSON of one answer: 64 MiB. Bytes of one answer of WPK_OP_SEND: 64 MiB. Bytes
 *   of one completion of `next`: max_bytes. Payload of one request: 64 MiB. A log
 *   line: 8 KiB. Description: 1 MiB. Requests of one plugin open at a time: 1024.
 *   More is an error, and is released unread.
 *
 * VERSIONS
 *   The major version is part of the exported name. Within it tables, statuses
 *   and operations are only appended. A field is used only if it lies inside
 *   `header.size`. An operation that is not known is completed as
 *   WPK_UNSUPPORTED. Unknown members of a JSON object are ignored.
 *
 * WHAT WPKD CANNOT DO
 *   A plugin is part of the process. One that writes through a wild pointer,
 *   claims more bytes than it has, calls abort() or overflows its stack ends the
 *   daemon (which finds its tasks again at the next start).
 */
#ifndef WPK_PLUGIN_H
#define WPK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WPK_MAJOR 1
#define WPK_MINOR 6

/* Bits of wpk_header.features. The host sets those it offers, a plugin those it
 * cannot do without; a plugin that needs one the host lacks is not loaded. */
#define WPK_FEATURE_SOURCES 1u /* wpk_host.request works */
#define WPK_FEATURE_STREAMS 2u /* wpk_plugin.next is used */

/* The start of every table. */
typedef struct wpk_header {
    uint32_t size;     /* sizeof the whole table, as compiled */
    uint16_t major;    /* WPK_MAJOR */
    uint16_t minor;    /* WPK_MINOR; a library of minor 0 is not asked operations 3 and 4, one
                        * below 2 is not told of "abandoned" tasks, one below 3 is not
                        * asked operations 103 to 111 and 120 to 125, one below 4 not 126
                        * and 127, one below 5 not 128, and is told of no move by
                        * "operator", one below 6 not 51 */
    uint64_t features; /* WPK_FEATURE_... */
} wpk_header;

/* Borrowed bytes; valid until the function they are passed to returns. `data`
 * may be NULL if `length` is 0. */
typedef struct wpk_slice {
    const uint8_t *data;
    size_t length;
} wpk_slice;

/* Owned bytes. The receiver calls release(owner, data, length) exactly once,
 * from any thread. `release` may be NULL: nothing to give back (constants).
 * `data` may be NULL if `length` is 0. Bytes must not change until the release. */
typedef struct wpk_buffer {
    const uint8_t *data;
    size_t length;
    void *owner;
    void (*release)(void *owner, const uint8_t *data, size_t length);
} wpk_buffer;

/* How an operation ended. */
enum {
    WPK_OK = 0,
    WPK_END = 1,          /* next: no more bytes. answer: close without an answer */
    WPK_CANCELLED = 2,    /* cancelled, and it took no effect at all */
    WPK_FAILED = 3,       /* anything that has no number of its own */
    WPK_PANICKED = 4,     /* the plugin crashed inside and caught it */
    WPK_MALFORMED = 5,    /* the question could not be read */
    WPK_UNSUPPORTED = 6,  /* the operation is not known */
    WPK_SETTINGS = 7,     /* WPK_OP_OPEN: wrong settings; the error has
                             "problems": [{"key": "...", "message": "..."}] */
    WPK_UNAVAILABLE = 16, /* directory, transport, store: not reachable */
    WPK_DAMAGED = 17,     /* directory, store: what is there makes no sense */
    WPK_FULL = 18,        /* store: disk full; nothing of the call took effect */
    WPK_REFUSED = 19,     /* directory (enroll), transport: said no */
    WPK_NOT_CONNECTED = 20, /* transport: the agent is not connected */
    WPK_TIMED_OUT = 21,     /* transport: the agent did not answer in time */
    WPK_CLOSED = 22,        /* transport: the connection ended before the answer */
    WPK_NOT_SUPPORTED = 23, /* directory: does not enroll agents */
    WPK_UNCERTAIN = 24,     /* store: nobody knows whether it took effect; since minor 3 */
    WPK_FENCED = 25,        /* store: a later daemon entered under this one's name; since minor 3 */
    WPK_NO_PACKAGE = 32,    /* provider: no WPK for this platform */
    WPK_NOT_REACHABLE = 33, /* provider: the repository is not reachable */
    WPK_NOT_LISTED = 34,    /* provider: the version is not in the repository */
    WPK_NO_FILE = 35        /* provider: the file cannot be had */
};

/* Operations. `json` -> JSON of the completion; [body] where raw bytes go along.
 * An id is a number, a time is seconds since 1970-01-01 UTC, "x|null" may be
 * left out where it is an answer. */
enum {
    /* {"kind": K, "type": T, "settings": {...}} -> [{"key": "timeout", "message": "..."}, ...]
     * Every mistake in a section of the settings; touches nothing. `instance` is
     * 0. K is "source", "directory", "provider", "transport", "store" or
     * "observer"; T is the section's type; settings is the section without it. wpkd has checked the
     * schema of the description before. [] if all is well. */
    WPK_OP_CHECK = 1,
    /* {"kind": K, "type": T, "settings": {...}, "context": {"home": "/var/ossec",
     *   "node": {"name": "node01", "role": "master"|"worker", "version": "v4.14.0"|null}}}
     * -> handle = the instance, and {}; a transport may answer {"max_command": bytes}
     * (its largest command; 65525 if absent). Makes an instance. Relative paths in
     * settings start at home. The handle is the plugin's own number for it and is
     * passed back as `instance`; it may be a pointer. */
    WPK_OP_OPEN = 2,

    /* What the section demands of others, without touching anything. Question: as
     * WPK_OP_OPEN. Answer: {"occupies": [{"key": "listen", "what": {"path": "/absolute"}
     *   | {"tcp": "127.0.0.1:1517"}}, ...], "needs": [{"kind": "transport", "type": s}, ...]},
     * or WPK_UNSUPPORTED, which counts as nothing. Not asked of libraries of minor 0. */
    WPK_OP_DEMANDS = 3,
    /* Looks at what an instance would meet if it were opened now, and changes
     * nothing; what `wpkctl doctor` prints. Question: as WPK_OP_OPEN, and
     *   "examine": {"platform": {"os_platform": ..., as in Agent}|null, "downloads": n}.
     * Answer: [{"name": s, "level": "ok"|"warning"|"failure", "detail": s, "advice": s}, ...],
     * or WPK_UNSUPPORTED. Not asked of libraries of minor 0. */
    WPK_OP_EXAMINE = 4,

    /* Source: {} -> {}. Serves until cancelled, which is its normal end; wpkd
     * then waits 15 seconds for it. Requests go through wpk_host.request with this
     * operation's token. Errors may have "source": "name". Completed earlier with an
     * error, the daemon stops: a source that can accept nothing any more. */
    WPK_OP_SERVE = 16,

    /* Directory: {"agents": [id, ...]} -> [Agent, ...]: those that exist, any order.
     * Agent: {"id": 7, "name": s|null, "os_platform": s|null, "os_major": s|null,
     *   "os_minor": s|null, "os_arch": s|null, "version": "Wazuh v4.2.1"|null,
     *   "connection": "active"|"pending"|"disconnected"|"never_connected",
     *   "group": s|null, "node": s|null} */
    WPK_OP_LOOKUP = 32,
    /* {"after": id|null, "limit": n} -> {"agents": [Agent, ...], "more": bool},
     * ascending by id, without id 0. */
    WPK_OP_LIST = 33,
    /* {"name": s} -> {"id": 7, "name": s, "key_pem": s, "certificate_pem": s,
     *   "ca_pem": s, "address": "host:port"|null}, or WPK_NOT_SUPPORTED. */
    WPK_OP_ENROLL = 34,
    /* Since minor version 2; a library that does not know them says WPK_UNSUPPORTED.
     * {"agent": 7, "change": "revoke" | "remove" | {"rename": s}
     *   | {"label": {"set": {k: v}, "unset": [k]}}} -> {}, or WPK_NOT_SUPPORTED. */
    WPK_OP_CHANGE_AGENT = 35,
    /* {"agents": [id]} -> [{"id": 7, "name": s, "labels": {k: v}, "address": s,
     *   "last_seen": time, "enrolled": time, "revoked": time, "certificate_end": time}],
     *   all but the id may be absent. */
    WPK_OP_DETAILS = 36,
    /* {"uses": n, "expires_in": seconds, "labels": {k: v}} -> {"id": s, "text": s,
     *   "expires": time, "address": "host:port" (may be absent)}, or WPK_NOT_SUPPORTED. */
    WPK_OP_ISSUE_TOKEN = 37,
    /* {} -> [{"id": s, "created": time, "expires": time, "uses": n, "left": n,
     *   "revoked": bool, "labels": {k: v}}], or WPK_NOT_SUPPORTED. */
    WPK_OP_TOKENS = 38,
    /* {"name": id} -> {}, or WPK_NOT_SUPPORTED. */
    WPK_OP_REVOKE_TOKEN = 39,
    /* {"step": "show" | "replace" | "switch" | "finish", "force": bool}
     *   -> {"authorities": [{"sha256": hex, "state": "in use" | "new" | "old",
     *   "end": unix}], "manager_end": unix, "agents": n, "behind": [id], "behind_count": n},
     *   or WPK_NOT_SUPPORTED. */
    WPK_OP_AUTHORITY = 40,

    /* Provider: Wanted -> true or false: whether this provider is the one to ask.
     * No input or output; must answer within 5 seconds and always the same,
     * because wpkd remembers the answer.
     * Wanted: {"release": {"platform": {"os_platform": ..., as in Agent},
     *     "target": "latest" | {"exactly": "v4.14.0"} | {"invalid": s},
     *     "repository": s (absent: the configured one), "use_http": bool,
     *     "package_type": "rpm"|"deb"|"msi"|"pkg" (absent: not known)}}
     *   or {"file": {"path": s (may be absent)}} */
    WPK_OP_SERVES = 48,
    /* Wanted -> Offer: {"file_name": "bare name, 1 to 200 bytes",
     *   "version": "v4.14.0"|null, "sha1": "40 hexadecimal digits"|null,
     *   "source": {"download": "any text for FETCH and logs, no secret"}
     *           | {"local": "/absolute/path"}}
     * sha1 may be null only with "local". Downloads nothing big. */
    WPK_OP_RESOLVE = 49,
    /* Offer -> handle = a stream, and {}. wpkd pulls it with `next`. */
    WPK_OP_FETCH = 50,
    /* Since minor version 6; a provider that does not know it says WPK_UNSUPPORTED.
     * {"wishes": [the object behind "release" of a Wanted, ...]} -> ["v4.14.0", ...]: which
     * versions there are for any of them, whatever its "target", in any order; or null: there
     * is no list, only files. Somebody waits at a prompt, and wpkd cancels what takes longer
     * than 5 seconds: leave out what cannot be had in 4, and say so in an object instead:
     * {"versions": [...], "incomplete": ["which list, and why", ...]}, of which 64 are read. */
    WPK_OP_VERSIONS = 51,

    /* Transport: {"agent": id} [the command] -> {} [the agent's answer]. Requests
     * to different agents overlap. Do not retry. */
    WPK_OP_SEND = 64,
    /* {"agent": id} -> {}: completed when the agent is connected. Without a deadline;
     * cancelled when nobody waits any more. Do not block a thread for it. A
     * transport that cannot know completes it at once, or as WPK_UNSUPPORTED. */
    WPK_OP_CONNECTED = 65,
    /* {"agent": id} -> {"names_tasks": bool, "takes_json": bool}: whether this agent takes
     * the id of its task with `upgrade` and names it in its report, and whether it takes
     * JSON and reports whatever its version. Absent, or WPK_UNSUPPORTED: false. */
    WPK_OP_TAKES = 66,

    /* Store. Every call is one transaction: all of it is on disk when it is
     * completed WPK_OK, nothing of it otherwise. The moves between statuses are
     * those of the documentation, section 3.
     * A store says "contract": 3 in the library's description; 2 is taken for a store of one
     * daemon without entries and documents (103 to 111, 120 to 125); one that says less
     * is refused when it is configured.
     * Task: {"id": n, "agent": id, "node": s, "module": s, "command": s,
     *   "created": time, "updated": time|null, "status": "Pending"|"In progress"|
     *   "Done"|"Failed"|"Cancelled"|"Timeout"|"Legacy", "error_msg": s|null,
     *   "confirmation": Confirmation (may be absent)}
     * Confirmation: "awaited" | "confirmed" | {"unconfirmed": s} | "not_checked"
     * Order: an object the store keeps as it is and never looks into.
     * Entry: {"at": time, "step": s, "asked": s, "detail": s,
     *   "failure": {"code": n, "said": s, "advice": s}}, all but the first two may be absent.
     * Revision: a number, 1 and up.
     *
     * {"tasks": [{"agent": id, "node": s, "module": s, "command": s, "created": time,
     *   "order": Order|null, "exclusive": bool, "held": bool,
     *   "fence": {"key": s, "epoch": n, "opens": time, "closes": time (may be absent),
     *   "mark": s (may be absent)} (may be absent)}, ...]}
     * -> [{"task": n} | {"already_live": n} | "fenced", ...], one for each, in order. A
     * waiting task of another node gives way to an exclusive one only if it has no order
     * and is not "held". "fenced": see WPK_OP_WRITE_DOCUMENTS; no task with a fence is sent
     * to a store that keeps no documents. */
    WPK_OP_CREATE = 80,
    /* {"agents": [id, ...]} -> [Task|null, ...], one for each, in order. */
    WPK_OP_LATEST = 81,
    /* {"moves": [{"select": {"task": n} | {"latest_of": id} | {"spoken_of": id}
     *   | {"task_of": {"task": n, "agent": id}}, "to": status, "node": s, "error_msg": s|null,
     *   "at": time, "by": "delivery"|"report"|"operator", "entry": Entry (may be absent)}, ...]}
     * -> [{"moved": Task} | {"refused": Task|null}, ...], one for each, in order. "operator",
     * since minor version 5, makes nothing but Cancelled, of whichever node, and only of a
     * live task that had an order and whose installer was not begun. */
    WPK_OP_TRANSITION = 82,
    /* {"node": s, "limit": n, "now": time}
     * -> [{"task": Task, "order": {"Ok": Order} | {"Err": "why it cannot be read"},
     *   "crashes": n}, ...] */
    WPK_OP_CLAIM = 83,
    /* {"node": s, "crashed": bool} -> as WPK_OP_CLAIM */
    WPK_OP_INTERRUPTED = 84,
    /* {"task": n, "target": "vX.Y.Z"|null, "now": time} -> true or false */
    WPK_OP_BEGIN_INSTALLER = 85,
    /* {"tasks": [n, ...], "now": time} -> null */
    WPK_OP_TOUCH = 86,
    /* {"node": s, "which": "without_order"|"abandoned"|"pending"|"not_begun", "now": time}
     * -> how many. "abandoned": those without an order that were not imported; a library of
     * minor 0 or 1 is asked "without_order" instead. */
    WPK_OP_CANCEL = 87,
    /* {"tasks": [n, ...]} -> how many */
    WPK_OP_WITHDRAW = 88,
    /* 89 was `expire` of contract 1. */
    /* {"created_until": time} -> how many */
    WPK_OP_PURGE = 90,
    /* {"after": n, "limit": n} -> [Task, ...] */
    WPK_OP_IN_PROGRESS = 91,
    /* {"overdue": [{"task": n, "updated": time|null}, ...], "now": time} -> [Task, ...] */
    WPK_OP_EXPIRE = 92,
    /* {"entries": [[n, Entry], ...]} -> null */
    WPK_OP_NOTE = 93,
    /* {"task": n} -> [Entry, ...] */
    WPK_OP_TIMELINE = 94,
    /* {"task": n, "confirmation": Confirmation, "entry": Entry} -> true or false */
    WPK_OP_CONFIRM = 95,
    /* {"after": Revision, "limit": n} -> [Change, ...]
     * Change: {"revision": Revision,
     *   "changed": {"task": Task} | {"foreign": Task} | {"deleted": n},
     *   "was": Task (may be absent)}
     * "foreign" is a task of WPK_OP_IMPORT; "was", of a deletion, the task as it was, where
     * the store still knows and it was no foreign one. */
    WPK_OP_CHANGES = 96,
    /* {} -> Revision */
    WPK_OP_REVISION = 97,
    /* {"reader": s} -> Revision */
    WPK_OP_PLACE = 98,
    /* {"reader": s, "place": Revision} -> null */
    WPK_OP_SET_PLACE = 99,
    /* {"node": s, "after": n, "limit": n}
     * -> [{"task": Task, "target": "vX.Y.Z", "next": n (may be absent)}, ...] */
    WPK_OP_AWAITING = 100,
    /* {"tasks": [n, ...]} -> [Task|null, ...], one for each, in order. */
    WPK_OP_TASKS = 101,
    /* Takes over tasks that another program made, as they are, without an order.
     * {"tasks": [Task, ...]} -> [{"new": n} | {"followed": n} | {"known": n} | "deleted", ...],
     * one for each, in order; n is the id here. WPK_UNSUPPORTED: this store takes nothing
     * over, which is an answer like any other. Since minor version 2. */
    WPK_OP_IMPORT = 102,

    /* Store of contract 3, all since minor version 3. What is WPK_UNSUPPORTED is as in a
     * store of one daemon (enter, renew, leave, clock, nodes, orphans, take_over, hand_over,
     * begun, keep_readers) or of one that keeps no documents (the others).
     *
     * An instance that was entered is that entry: from then on a task with an order is
     * claimed, begun, touched, cancelled and moved by "delivery" only where its node is the
     * entry's, and each of its writes ends as WPK_FENCED, without effect, once somebody
     * entered under that name after it. Times in questions count only where `clock` says
     * null or the instance was not entered; else the store's own are written.
     * Holder: {"host": s, "machine": s, "process": n, "started": s}
     * Duration: {"secs": n, "nanos": n}
     * Held: {"holder": Holder, "incarnation": n, "age": Duration, "left": Duration}
     *
     * {"node": s, "holder": Holder, "replaces": n (may be absent)}
     * -> {"entered": {"incarnation": n, "lease": Duration (absent: one daemon's store)}}
     *  | {"held": Held}: the name's lease lives, and "replaces" is not its incarnation. */
    WPK_OP_ENTER = 103,
    /* {} -> null: the lease begins anew. */
    WPK_OP_RENEW = 104,
    /* {} -> null: the lease ends now. */
    WPK_OP_LEAVE = 105,
    /* {} -> time|null: the clock that all go by who share the store. */
    WPK_OP_CLOCK = 106,
    /* {} -> [{"node": s, "held": Held, "lives": bool}, ...] */
    WPK_OP_NODES = 107,
    /* {"after": n, "limit": n} -> [Task, ...]: live ones with an order whose installer was
     * not begun, of other nodes whose lease does not live. */
    WPK_OP_ORPHANS = 108,
    /* {"tasks": [n, ...]} -> [n, ...]: those that were such, and are the entry's now, to be
     * claimed anew. */
    WPK_OP_TAKE_OVER = 109,
    /* {"tasks": [n, ...], "to": s} -> [n, ...]: the entry's own ones that another, living
     * node has now. */
    WPK_OP_HAND_OVER = 110,
    /* {"task": n} -> n|null: the incarnation that began its installer. */
    WPK_OP_BEGUN = 111,

    /* Observer: is told of every change of every task, in the order of the store's feed,
     * and shows or passes it on. {"changes": [Change, ...]} (Change: see WPK_OP_CHANGES)
     * -> null: all of it is done, wherever it had to be written. After an error, or where
     * the deadline passes (300 seconds), wpkd sends the same changes again, after a pause
     * that grows to a minute; meanwhile this observer is behind, and nothing else waits.
     * A change may come more than once, also long after later ones of the same task: then
     * it says how the task is now. `changes` may be empty. Since minor version 2. */
    WPK_OP_OBSERVE = 112,
    /* Observer that writes where others write too: the tasks that stand there, with ids
     * above `after`, ascending, `limit` at the most. {"after": n, "limit": n} -> [Task, ...].
     * wpkd compares them with its own at the start and every minute, imports what others
     * made, and sends what differs to WPK_OP_OBSERVE. WPK_UNSUPPORTED or []: there is
     * nothing to compare. Since minor version 2. */
    WPK_OP_SHOWN = 113,

    /* Store of contract 3 that keeps documents beside tasks, since minor version 3.
     * Document: {"key": s, "version": n, "epoch": n, "keeps_tasks": bool, "text": s}
     * Guard: {"key": s, "version": n}
     * Keys have 1 to 255 bytes, a text up to 16 MiB. Numbers are below 2^63.
     *
     * {"prefix": s, "after": s, "limit": n} -> [Document, ...], in the order of their bytes.
     * With "limit": 0 it is asked whether there are documents at all. */
    WPK_OP_DOCUMENTS = 120,
    /* {"writes": [{"key": s, "expected": n|null, "becomes": {"epoch": n, "keeps_tasks": bool,
     *   "text": s}|null}, ...], "guard": Guard|null} -> [version, ...], or null: nothing was
     * written, since a version is not as expected, the guard does not hold, an epoch would
     * be lowered, or something is too long. A raised epoch and a deletion cancel the live
     * tasks made for the document (with a lower epoch), whose installer was not begun. No
     * version comes twice in a store. */
    WPK_OP_WRITE_DOCUMENTS = 121,
    /* {"tasks": as WPK_OP_CREATE, "guard": Guard} -> as WPK_OP_CREATE, or null: the guard
     * does not hold. */
    WPK_OP_CREATE_GUARDED = 122,
    /* {"key": s, "after": n, "limit": n}
     * -> [Attempt, ...]
     * Attempt: {"task": Task, "epoch": n, "begun": bool, "target": "vX.Y.Z" (may be absent)};
     *   since minor 4 also "key": s (of the document), "opens": time, "closes": time (may be absent), "begun_at": time (when
     *   its installer was begun; may be absent), "staged": bool, "mark": s (may be absent). */
    WPK_OP_ATTEMPTS = 123,
    /* {"names": [s, ...]} -> null: every reader of the feed with another name is forgotten. */
    WPK_OP_KEEP_READERS = 124,
    /* {"node": s, "after": n, "limit": n} -> as WPK_OP_CLAIM: what is fenced, waits and was
     * never taken; nothing changes. */
    WPK_OP_STAGING = 125,
    /* Since minor version 4; a library that does not know them says WPK_UNSUPPORTED.
     * {"writes": [{"task": n, "change": {"open": {"opens": time, "closes": time (may be absent)}}
     *   | {"cancel": s} | {"staged": bool} | {"mark": s}}, ...], "guard": Guard|null}
     * -> how many applied, or null: the guard does not hold. One after the other, whichever
     * node's they are; all but "mark" (up to 1,024 bytes) only of tasks that are live and
     * not begun, and only these get a Revision. A cancelled one's timeline gets the step
     * "cancelled" with the words. What does not apply is left out. */
    WPK_OP_WRITE_ATTEMPTS = 126,
    /* {"tasks": [n, ...]} -> [Attempt|null, ...], one for each, in order; null: no such task,
     * or it has no fence. */
    WPK_OP_ATTEMPTS_OF = 127,
    /* Since minor version 5; a store that does not know it says WPK_UNSUPPORTED.
     * {"before": Place (may be absent), "agents": [id, ...] (may be absent), "node": s (may be
     *   absent), "since": time (may be absent), "only": "all"|"live"|"troubled", "limit": n}
     * -> {"tasks": [Task, ...], "next": Place (absent: there are no more)}
     * Place: {"created": time, "task": n}. Descending by place; `limit` tasks are looked at,
     * and those of them that are wanted are told: of these agents (none named: of all), of this
     * node, created at `since` or later; "live": Pending or In progress; "troubled": Failed,
     * Cancelled, Timeout, or with an "unconfirmed" confirmation. */
    WPK_OP_HISTORY = 128
};

/* Levels of log lines. */
enum {
    WPK_LOG_ERROR = 1,
    WPK_LOG_WARN = 2,
    WPK_LOG_INFO = 3,
    WPK_LOG_DEBUG = 4,
    WPK_LOG_TRACE = 5
};

typedef struct wpk_host wpk_host;
typedef struct wpk_plugin wpk_plugin;

/* What wpkd offers. The first argument of every function is the table itself. */
struct wpk_host {
    wpk_header header;

    /* Ends the operation `token`. Any thread, any time, also inside `call` and
     * `next`; exactly once for each token. Both buffers become wpkd's; it reads
     * them and releases them, usually before this returns. `handle` is the new
     * instance or stream of WPK_OP_OPEN and WPK_OP_FETCH, else 0. `json` is the
     * answer (empty counts as {}), or the error where `status` says so. */
    void (*complete)(const wpk_host *host, uint64_t token, int32_t status, uint64_t handle,
                     wpk_buffer json, wpk_buffer body);

    /* Source: hands one request to the engine. Any thread, while the operation
     * `serve` (WPK_OP_SERVE) is not completed. `token` is the plugin's own number
     * for it, unique among its open requests; wpk_plugin.answer brings it back
     * exactly once. `payload` is the payload of one frame. `json`:
     *   {"endpoint": "upgrade"|"task", "peer": {"local": {"uid": 0}} | {"agent": 7} | "unknown"}
     * Both slices are copied before this returns. */
    void (*request)(const wpk_host *host, uint64_t serve, wpk_slice json, wpk_slice payload,
                    uint64_t token);

    /* Writes a line (UTF-8, no line breaks needed) to wpkd's log, with the
     * plugin's name. Any thread, any time, also inside the entry function. */
    void (*log)(const wpk_host *host, uint32_t level, wpk_slice message);

    /* 1 if a line of this level would be written, else 0. Any thread. */
    int32_t (*log_enabled)(const wpk_host *host, uint32_t level);
};

/* What a plugin offers. The first argument of every function is the table itself,
 * so that a larger struct with this table as its first member works as `self`. */
struct wpk_plugin {
    wpk_header header;

    /* JSON, valid as long as the table:
     *   {"name": "my-plugin", "version": "1.0.0", "plugins": [
     *     {"kind": "provider", "type": "my-store", "schema": {JSON schema of the settings}},
     *     {"kind": "store", "type": "my-store", "contract": 3}, ...]}
     * Names and types are 1 to 64 of a-z, 0-9, '-', '_' and '.'. A type must not be
     * one wpkd has already. `schema` may be left out; with it `wpkd check` finds
     * unknown keys, wrong types and missing settings by itself. Understood:
     * type, properties, required, additionalProperties, items, enum, const,
     * minimum, maximum, minLength, maxLength, anyOf, oneOf, allOf, $ref to $defs;
     * the rest is ignored. A provider that says "reloadable": true is opened anew
     * with changed settings while the one before still works, which is closed when
     * its last operation has ended (SIGHUP); without it they need a restart. */
    wpk_slice description;

    /* Begins an operation; `complete` ends it. On one of up to 16 threads; may
     * block until the deadline. Both slices end when it returns. */
    void (*call)(const wpk_plugin *plugin, uint64_t instance, uint32_t operation, wpk_slice json,
                 wpk_slice body, uint64_t token);

    /* Asks for the next bytes of a stream: completed as WPK_OK with 1 to
     * `max_bytes` bytes in `body`, as WPK_END, or with an error, after which the
     * stream is only closed. Never two at a time for one stream. Threads as `call`.
     * May be NULL in a plugin without providers. */
    void (*next)(const wpk_plugin *plugin, uint64_t stream, uint64_t max_bytes, uint64_t token);

    /* Takes an operation back. It must still be completed, soon. Comes only after
     * the function that began it returned; may come after the completion, because
     * the two may cross: then ignore it. For WPK_OP_SERVE
     * the first asks for an orderly end, a second one for an end at once; other
     * operations are cancelled once. Must not block. */
    void (*cancel)(const wpk_plugin *plugin, uint64_t token);

    /* wpkd is done with a stream, whether or not it was read to its end. Called
     * exactly once for each stream, when no `next` is open. What it holds is free
     * again when this returns. Must not block for long.
     * May be NULL in a plugin without providers. */
    void (*close_stream)(const wpk_plugin *plugin, uint64_t stream);

    /* wpkd is done with an instance. Called at most once for each, when no
     * operation or stream of it is open. What it holds (sockets, locks, files) is
     * free again when this returns: the next instance is opened after that. Must
     * not block for long. */
    void (*close)(const wpk_plugin *plugin, uint64_t instance);

    /* Answers the request `token` of wpk_host.request: WPK_OK with the payload of
     * the answering frame, WPK_END: close the connection without an answer,
     * WPK_UNAVAILABLE: too many requests are open or the source is not being
     * served. `body` ends when it returns. Must not block.
     * May be NULL in a plugin without sources. */
    void (*answer)(const wpk_plugin *plugin, uint64_t token, int32_t status, wpk_slice body);
};

/* The one symbol of a plugin. Called once, after loading, on a thread of its own;
 * must return within 30 seconds. `host` lives as long as the process. Returns the
 * plugin's table, or NULL after it has logged why it cannot work. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((visibility("default")))
#endif
const wpk_plugin *wpk_plugin_entry_v1(const wpk_host *host);

#ifdef __cplusplus
}
#endif

#endif /* WPK_PLUGIN_H */
