/* Connections that shake hands, ask once and leave: the load of the cases tls_new and tls_resumed.
 *
 *     handshakes PORT PATH CONNECTIONS SECONDS new|resumed
 *
 * CONNECTIONS are open at any time. `resumed`: each takes the newest ticket of the one before it in its place, as
 * browsers do; a handshake that the server did not resume counts as an error, and so does one that it did under `new`.
 * The first connection of each place is not counted. TLS 1.3, TLS_AES_128_GCM_SHA256, X25519.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { PLACES_MAX = 1024, TIMES_MAX = 4 << 20 };

struct place {
    int fd, counted, asked;
    size_t got;
    char status[16];
    SSL *ssl;
    SSL_SESSION *session;
    unsigned events;
    double began;
};

static struct sockaddr_in address = {.sin_family = AF_INET};
static struct place places[PLACES_MAX];
static unsigned *times;
static long done, errors;
static int poller, resumes;
static SSL_CTX *context;
static char request[512];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
    struct place *place = SSL_get_app_data(ssl);
    SSL_SESSION_free(place->session);
    place->session = session;
    return 1; /* it is ours now */
}

static void watch(struct place *place, unsigned events) {
    if (place->events == events) return;
    struct epoll_event event = {.events = events, .data.ptr = place};
    if (epoll_ctl(poller, place->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, place->fd, &event)) die("epoll_ctl");
    place->events = events;
}

static void begin(struct place *place) {
    place->began = now();
    place->asked = 0;
    place->got = 0;
    place->events = 0;
    place->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (place->fd < 0) die("socket");
    int one = 1;
    setsockopt(place->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(place->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
    place->ssl = SSL_new(context);
    SSL_set_app_data(place->ssl, place);
    SSL_set_fd(place->ssl, place->fd);
    SSL_set_connect_state(place->ssl);
    if (resumes && place->session) SSL_set_session(place->ssl, place->session);
    watch(place, EPOLLOUT);
}

static void finish(struct place *place, int fine) {
    fine = fine && !memcmp(place->status, "HTTP/1.1 200", 12);
    if (place->counted) {
        fine = fine && SSL_session_reused(place->ssl) == resumes;
        if (!fine) errors++;
        else if (done < TIMES_MAX) times[done++] = (now() - place->began) * 1e6;
    }
    place->counted = 1;
    SSL_set_quiet_shutdown(place->ssl, 1);
    SSL_shutdown(place->ssl);
    SSL_free(place->ssl);
    close(place->fd);
    begin(place);
}

static void drive(struct place *place) {
    char buffer[16384];
    int result;
    if (!SSL_is_init_finished(place->ssl) && (result = SSL_do_handshake(place->ssl)) <= 0) goto stopped;
    if (!place->asked) {
        if ((result = SSL_write(place->ssl, request, strlen(request))) <= 0) goto stopped;
        place->asked = 1;
    }
    while ((result = SSL_read(place->ssl, buffer, sizeof buffer)) > 0) {
        for (int n = 0; n < result && place->got + n < sizeof place->status; n++) place->status[place->got + n] = buffer[n];
        place->got += result;
    }
stopped:
    switch (SSL_get_error(place->ssl, result)) {
    case SSL_ERROR_WANT_READ: watch(place, EPOLLIN); return;
    case SSL_ERROR_WANT_WRITE: watch(place, EPOLLOUT); return;
    default: finish(place, place->asked && place->got > sizeof place->status);
    }
}

static int ascending(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words) {
    if (count != 6 || atoi(words[3]) > PLACES_MAX) {
        fprintf(stderr, "usage: handshakes PORT PATH CONNECTIONS SECONDS new|resumed\n");
        return 2;
    }
    address.sin_port = htons(atoi(words[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", words[2]);
    resumes = !strcmp(words[5], "resumed");
    times = malloc(TIMES_MAX * sizeof *times);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    if (!SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(context, "X25519"))
        return 1;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
    poller = epoll_create1(0);
    for (int n = 0; n < atoi(words[3]); n++) begin(&places[n]);
    double began = now(), end = began + atof(words[4]), at;
    while ((at = now()) < end) {
        struct epoll_event ready[256];
        int n = epoll_wait(poller, ready, 256, 1 + (end - at) * 1e3);
        for (int i = 0; i < n; i++) drive(ready[i].data.ptr);
    }
    qsort(times, done, sizeof *times, ascending);
    printf("RESULT {\"requests\":%ld,\"us\":%.0f,\"p50\":%u,\"p99\":%u,\"errors\":%ld}\n", done, (at - began) * 1e6,
           done ? times[done / 2] : 0, done ? times[done * 99 / 100] : 0, errors);
    return 0;
}
