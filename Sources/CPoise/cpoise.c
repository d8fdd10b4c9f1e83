#define _GNU_SOURCE
#include "cpoise.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct poise_event) == sizeof(struct epoll_event), "epoll_event has another size here");
_Static_assert(offsetof(struct poise_event, data) == offsetof(struct epoll_event, data), "epoll_event differs here");

static int64_t result(int64_t value) { return value < 0 ? -errno : value; }

static int64_t clock_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
int64_t poise_clock_monotonic(void) { return clock_of(CLOCK_MONOTONIC); }
int64_t poise_clock_wall(void) { return clock_of(CLOCK_REALTIME); }
int64_t poise_thread_cpu(void) { return clock_of(CLOCK_THREAD_CPUTIME_ID); }

int poise_epoll_create(void) { return (int)result(epoll_create1(EPOLL_CLOEXEC)); }
static int epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return (int)result(epoll_ctl(epoll, operation, descriptor, &event));
}
int poise_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data) {
    return epoll_control(epoll, EPOLL_CTL_ADD, descriptor, events, data);
}
int poise_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t data) {
    return epoll_control(epoll, EPOLL_CTL_MOD, descriptor, events, data);
}
int poise_epoll_wait(int epoll, struct poise_event *events, int count, int timeout_ms) {
    return (int)result(epoll_wait(epoll, (struct epoll_event *)events, count, timeout_ms));
}

static int domain_of(int family) { return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNIX; }

int poise_socket(int family, int datagram) {
    int type = (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return (int)result(socket(domain_of(family), type, 0));
}
static int set_flag(int descriptor, int level, int name, int on) {
    return (int)result(setsockopt(descriptor, level, name, &on, sizeof on));
}
int poise_set_nodelay(int descriptor) { return set_flag(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); }
int poise_hold_ack(int descriptor) { return set_flag(descriptor, IPPROTO_TCP, TCP_QUICKACK, 0); }
int poise_set_reuse_address(int descriptor) { return set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1); }
int poise_set_reuse_port(int descriptor) { return set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1); }
int poise_set_v6_only(int descriptor, int on) { return set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, on); }
int poise_set_linger_reset(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return (int)result(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}
int poise_socket_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return errno;
    return error;
}

static socklen_t to_system(const struct poise_address *address, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (address->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(address->port);
        in->sin_addr.s_addr = htonl((uint32_t)address->low);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address->port);
    uint64_t words[2] = {htobe64(address->high), htobe64(address->low)};
    memcpy(&in6->sin6_addr, words, 16);
    return sizeof *in6;
}
static void from_system(const struct sockaddr_storage *in, struct poise_address *out) {
    memset(out, 0, sizeof *out);
    if (in->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;
        out->family = 4;
        out->port = ntohs(v4->sin_port);
        out->low = ntohl(v4->sin_addr.s_addr);
    } else if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;
        out->family = 6;
        out->port = ntohs(v6->sin6_port);
        uint64_t words[2];
        memcpy(words, &v6->sin6_addr, 16);
        out->high = be64toh(words[0]);
        out->low = be64toh(words[1]);
    }
}
static socklen_t to_unix(const char *path, size_t length, struct sockaddr_un *out) {
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (length >= sizeof out->sun_path) return 0;
    memcpy(out->sun_path, path, length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

int poise_bind(int descriptor, const struct poise_address *address) {
    struct sockaddr_storage storage;
    socklen_t size = to_system(address, &storage);
    return (int)result(bind(descriptor, (struct sockaddr *)&storage, size));
}
int poise_bind_unix(int descriptor, const char *path, size_t length) {
    struct sockaddr_un storage;
    socklen_t size = to_unix(path, length, &storage);
    if (!size) return -ENAMETOOLONG;
    return (int)result(bind(descriptor, (struct sockaddr *)&storage, size));
}
int poise_listen(int descriptor, int backlog) { return (int)result(listen(descriptor, backlog)); }
int poise_connect(int descriptor, const struct poise_address *address) {
    struct sockaddr_storage storage;
    socklen_t size = to_system(address, &storage);
    return (int)result(connect(descriptor, (struct sockaddr *)&storage, size));
}
int poise_connect_unix(int descriptor, const char *path, size_t length) {
    struct sockaddr_un storage;
    socklen_t size = to_unix(path, length, &storage);
    if (!size) return -ENAMETOOLONG;
    return (int)result(connect(descriptor, (struct sockaddr *)&storage, size));
}
int poise_accept(int descriptor, struct poise_address *peer) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    storage.ss_family = AF_UNSPEC;
    int accepted = accept4(descriptor, (struct sockaddr *)&storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) return -errno;
    from_system(&storage, peer);
    return accepted;
}
int poise_local_address(int descriptor, struct poise_address *local) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (getsockname(descriptor, (struct sockaddr *)&storage, &size) < 0) return -errno;
    from_system(&storage, local);
    return 0;
}

int64_t poise_peer_user(int descriptor) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
    /* What an IP socket answers. */
    return peer.uid == (uid_t)-1 ? -EOPNOTSUPP : (int64_t)peer.uid;
}

/* Not through recv() and send(): in a process with threads these are cancellation points, and switching cancellation
 * on and off costs 50 instructions a call. None of our threads is ever cancelled. */
int64_t poise_recv(int descriptor, void *bytes, size_t count) {
    return result(syscall(SYS_recvfrom, descriptor, bytes, count, 0, NULL, NULL));
}
int64_t poise_send(int descriptor, const void *bytes, size_t count) {
    return result(syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, NULL, 0));
}
int64_t poise_send2(int descriptor, const void *a, size_t a_count, const void *b, size_t b_count) {
    struct iovec parts[2] = {{(void *)a, a_count}, {(void *)b, b_count}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return result(sendmsg(descriptor, &message, MSG_NOSIGNAL));
}
int poise_unacknowledged(int descriptor) {
    int count = 0;
    return ioctl(descriptor, SIOCOUTQ, &count) < 0 ? -errno : count;
}
int poise_duplicate(int descriptor) { return (int)result(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)); }
int poise_shutdown_write(int descriptor) { return (int)result(shutdown(descriptor, SHUT_WR)); }
int poise_close(int descriptor) { return (int)result(close(descriptor)); }

int64_t poise_read(int descriptor, void *bytes, size_t count) { return result(read(descriptor, bytes, count)); }
int64_t poise_write(int descriptor, const void *bytes, size_t count) {
    return result(write(descriptor, bytes, count));
}
int poise_open(const char *path, int flags, unsigned mode) {
    int how = flags == 2 ? O_WRONLY | O_APPEND | O_CREAT : O_RDONLY;
    return (int)result(open(path, how | O_CLOEXEC, mode));
}
int poise_wait_readable(int descriptor, int timeout_ms) {
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    return (int)result(poll(&entry, 1, timeout_ms));
}
int poise_eventfd(void) { return (int)result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

static void to_set(const int *signals, size_t count, sigset_t *set) {
    sigemptyset(set);
    for (size_t i = 0; i < count; i++) sigaddset(set, signals[i]);
}
int poise_block_signals(const int *signals, size_t count) {
    sigset_t set;
    to_set(signals, count, &set);
    return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}
int poise_signalfd(const int *signals, size_t count) {
    sigset_t set;
    to_set(signals, count, &set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return (int)result(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}
int poise_signalfd_read(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    return count == sizeof info ? (int)info.ssi_signo : -(count < 0 ? errno : EAGAIN);
}
void poise_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

void *poise_map(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}
void poise_unmap(void *pages, size_t bytes) { munmap(pages, bytes); }
void poise_give_back(void *pages, size_t bytes) { madvise(pages, bytes, MADV_DONTNEED); }

int poise_descriptor_limit(int64_t *soft, int64_t *hard) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    *soft = limit.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t)limit.rlim_cur;
    *hard = limit.rlim_max == RLIM_INFINITY ? INT64_MAX : (int64_t)limit.rlim_max;
    return 0;
}
int poise_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    return (int)result(setrlimit(RLIMIT_NOFILE, &limit));
}
int poise_become(const char *user) {
    errno = 0;
    struct passwd *entry = getpwnam(user);
    if (!entry) return errno ? -errno : -ENOENT;
    if (initgroups(user, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 || setuid(entry->pw_uid) < 0) return -errno;
    return 0;
}
int poise_give_file(const char *path, const char *user) {
    errno = 0;
    struct passwd *entry = getpwnam(user);
    if (!entry) return errno ? -errno : -ENOENT;
    /* The folder may be the user's: neither link nor second name may make another file out of what root gives away. */
    int descriptor = (int)result(open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (descriptor < 0) return descriptor;
    struct stat facts;
    int code = (int)result(fstat(descriptor, &facts));
    if (code == 0 && (!S_ISREG(facts.st_mode) || facts.st_nlink != 1)) code = -EPERM;
    /* One that somebody has given to another user stays theirs. */
    if (code == 0 && facts.st_uid == 0) code = (int)result(fchown(descriptor, entry->pw_uid, (gid_t)-1));
    close(descriptor);
    return code;
}
int poise_random(void *bytes, size_t count) { return getrandom(bytes, count, 0) == (ssize_t)count ? 0 : -errno; }
int poise_is_terminal(int descriptor) { return isatty(descriptor); }
void poise_heap_trim(void) { (void)malloc_trim(0); }
void poise_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
int poise_notify(const char *path, size_t length, const char *message, size_t count) {
    struct sockaddr_un storage;
    socklen_t size = to_unix(path, length, &storage);
    if (!size) return -ENAMETOOLONG;
    if (storage.sun_path[0] == '@') {
        storage.sun_path[0] = 0;
        size -= 1;
    }
    int descriptor = poise_socket(1, 1);
    if (descriptor < 0) return descriptor;
    int64_t sent = result(sendto(descriptor, message, count, MSG_NOSIGNAL, (struct sockaddr *)&storage, size));
    close(descriptor);
    return sent < 0 ? (int)sent : 0;
}

/* A pipe whose ends are none of the descriptors that a child's standard streams are put on. */
static int output_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > 2) continue;
        int above = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
        int code = above < 0 ? -errno : 0;
        if (above >= 0) {
            close(ends[i]);
            ends[i] = above;
            continue;
        }
        close(ends[0]);
        close(ends[1]);
        return code;
    }
    /* The reading end only: a program's own output blocks, as programs expect. */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return 0;
}

int poise_spawn(const char *program, char *const *arguments, char *const *environment, int *output, int *exit) {
    int ends[2];
    int code = output_pipe(ends);
    if (code < 0) return code;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    pid_t process = -1;
    if (code == 0) {
        /* Whoever started us may have ignored it: children would vanish before their status is read. */
        signal(SIGCHLD, SIG_DFL);
        code = posix_spawn(&process, program, &actions, &attributes, arguments, environment);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    int watch = code == 0 ? (int)syscall(SYS_pidfd_open, process, 0) : -1;
    if (code == 0 && watch < 0) {
        code = errno;
        kill(-process, SIGKILL);
        while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {}
    }
    if (code != 0) {
        close(ends[0]);
        return -code;
    }
    *output = ends[0];
    *exit = watch;
    return process;
}
int poise_signal_group(int process, int signal) { return (int)result(kill(-process, signal)); }
static int wait_for(int process, int flags, siginfo_t *info) {
    int code;
    memset(info, 0, sizeof *info);
    do code = (int)result(waitid(P_PID, (id_t)process, info, WEXITED | WNOHANG | flags));
    while (code == -EINTR);
    return code < 0 ? code : info->si_pid == 0 ? -EAGAIN : 0;
}
int poise_has_ended(int process) {
    siginfo_t info;
    return wait_for(process, WNOWAIT, &info) != -EAGAIN;
}
int poise_reap(int process, int *signal) {
    siginfo_t info;
    int code = wait_for(process, 0, &info);
    if (code < 0) return code;
    *signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return info.si_code == CLD_EXITED ? info.si_status : 0;
}

int poise_resolve(const char *name, struct poise_address *out, size_t capacity) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(name, NULL, &hints, &list);
    if (code == EAI_ADDRFAMILY || code == EAI_NONAME || code == EAI_NODATA) {
        /* AI_ADDRCONFIG hides loopback names on a machine without an outside address. */
        hints.ai_flags = 0;
        code = getaddrinfo(name, NULL, &hints, &list);
    }
    if (code != 0) return code > 0 ? -code : code;
    size_t count = 0;
    for (struct addrinfo *entry = list; entry && count < capacity; entry = entry->ai_next) {
        struct sockaddr_storage storage = {0};
        memcpy(&storage, entry->ai_addr, entry->ai_addrlen);
        from_system(&storage, &out[count]);
        if (out[count].family) count++;
    }
    freeaddrinfo(list);
    return (int)count;
}
const char *poise_resolve_error(int code) { return gai_strerror(code); }

static _Thread_local void *current_loop;
void *poise_current_loop(void) { return current_loop; }
void poise_set_current_loop(void *loop) { current_loop = loop; }
