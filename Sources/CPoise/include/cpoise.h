/* What Swift cannot import, or imports badly: epoll's packed event, atomics on raw memory, macros, sockaddr casts.
 * No logic. The header names no system type on purpose: re-exporting <sys/socket.h> changes the imported types of
 * flags in every Swift file that sees both modules.
 *
 * Calls return what the system call returned, or -errno.
 */
#ifndef CPOISE_H
#define CPOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define POISE_EVENT_PACKED __attribute__((packed))
#else
#define POISE_EVENT_PACKED
#endif

/* The kernel's struct epoll_event, asserted equal in cpoise.c. */
struct poise_event {
    uint32_t events;
    uint64_t data;
} POISE_EVENT_PACKED;

/* An IP socket address. family: 4, 6, or 0 for none. IPv4 is the low 32 bits of `low`; all in host byte order. */
struct poise_address {
    uint64_t high;
    uint64_t low;
    uint16_t port;
    uint8_t family;
};

int64_t poise_clock_monotonic(void);
int64_t poise_clock_wall(void);

int poise_epoll_create(void);
int poise_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data);
int poise_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t data);
int poise_epoll_wait(int epoll, struct poise_event *events, int count, int timeout_ms);

int poise_socket(int family, int datagram); /* 4, 6, or 1 for unix; non-blocking, close-on-exec */
int poise_set_nodelay(int descriptor);
int poise_hold_ack(int descriptor); /* TCP_QUICKACK 0: the next ACK waits for bytes to leave with */
int poise_set_reuse_address(int descriptor);
int poise_set_reuse_port(int descriptor);
int poise_set_v6_only(int descriptor, int on);
int poise_set_linger_reset(int descriptor); /* close sends RST */
int poise_socket_error(int descriptor);     /* takes SO_ERROR: a positive errno, or 0 */
int poise_bind(int descriptor, const struct poise_address *address);
int poise_bind_unix(int descriptor, const char *path, size_t length);
int poise_listen(int descriptor, int backlog);
int poise_connect(int descriptor, const struct poise_address *address);
int poise_connect_unix(int descriptor, const char *path, size_t length);
int poise_accept(int descriptor, struct poise_address *peer); /* family 0: not an IP peer */
int64_t poise_peer_user(int descriptor); /* of a connected unix socket */
int poise_local_address(int descriptor, struct poise_address *local);

int64_t poise_recv(int descriptor, void *bytes, size_t count);
int64_t poise_send(int descriptor, const void *bytes, size_t count);
int64_t poise_send2(int descriptor, const void *a, size_t a_count, const void *b, size_t b_count);
int poise_unacknowledged(int descriptor); /* bytes in the send queue */
int poise_duplicate(int descriptor);
int poise_shutdown_write(int descriptor);
int poise_close(int descriptor);

int64_t poise_read(int descriptor, void *bytes, size_t count);
int64_t poise_write(int descriptor, const void *bytes, size_t count);
int poise_open(const char *path, int flags, unsigned mode); /* flags: 1 read, 2 append+create */
int poise_wait_readable(int descriptor, int timeout_ms); /* 1 readable, 0 timed out */
int poise_eventfd(void);
int poise_signalfd(const int *signals, size_t count); /* blocks them in the calling thread first */
int poise_signalfd_read(int descriptor);              /* a signal number */
int poise_block_signals(const int *signals, size_t count);
void poise_ignore_sigpipe(void);

void *poise_map(size_t bytes); /* zeroed pages, or NULL */
void poise_unmap(void *pages, size_t bytes);
void poise_give_back(void *pages, size_t bytes);

int poise_descriptor_limit(int64_t *soft, int64_t *hard);
int poise_raise_descriptor_limit(void);
int poise_become(const char *user);
int poise_give_file(const char *path, const char *user); /* root's regular files with one name only */
int poise_random(void *bytes, size_t count);
int poise_is_terminal(int descriptor);
/* Gives free memory of the heap back to the system. */
void poise_heap_trim(void);
int64_t poise_thread_cpu(void);
void poise_name_thread(const char *name);
int poise_notify(const char *path, size_t length, const char *message, size_t count);

/* Starts a program in a session of its own, with /dev/null as its input, a pipe as its output and its error output, no
 * other descriptor, no signal blocked or ignored, and the environment given. Both lists end with NULL.
 * Returns its number. *output: the pipe's reading end, non-blocking; *exit: readable once the program has ended. */
int poise_spawn(const char *program, char *const *arguments, char *const *environment, int *output, int *exit);
int poise_signal_group(int process, int signal);
int poise_has_ended(int process); /* 1: a child that has ended, or none at all; it stays to be reaped */
/* Takes an ended child away. *signal: what ended it, or 0. Returns its exit status, or -EAGAIN while it runs. */
int poise_reap(int process, int *signal);

/* getaddrinfo for AF_UNSPEC, SOCK_STREAM. Returns how many addresses were written, or -EAI code. */
int poise_resolve(const char *name, struct poise_address *out, size_t capacity);
const char *poise_resolve_error(int code);

/* The loop that runs on this thread, or NULL. */
void *poise_current_loop(void);
void poise_set_current_loop(void *loop);

static inline uint64_t poise_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void poise_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
static inline uint64_t poise_load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void poise_store_release(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline uint64_t poise_exchange(uint64_t *word, uint64_t value) {
    return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}
static inline uint64_t poise_fetch_add(uint64_t *word, uint64_t value) {
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}
/* False when another thread was quicker, or for no reason at all. */
static inline bool poise_compare_exchange(uint64_t *word, uint64_t expected, uint64_t value) {
    return __atomic_compare_exchange_n(word, &expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
static inline void poise_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif
