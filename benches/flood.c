#define _GNU_SOURCE
/* Many that take all that there is: flood PORT CONNECTIONS SECONDS MESSAGE
 * Each connection writes the message, a line feed behind it, again and again, as much as the kernel
 * takes, and throws the replies away. Prints a line with the millions of replies a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "flood PORT CONNECTIONS SECONDS MESSAGE\n"), 2;
    int connections = atoi(argv[2]), poll = epoll_create1(0), length = strlen(argv[4]) + 1;
    double ends_at = now() + atof(argv[3]), started_at;
    static char chunk[CHUNK], replies[CHUNK * 5];
    static int sent[65536];
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* A whole number of messages, so that a chunk may follow itself. */
    int size = CHUNK / length * length;
    for (int at = 0; at < size; at += length) {
        memcpy(chunk + at, argv[4], length - 1);
        chunk[at + length - 1] = '\n';
    }
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
        if (connect(fd, (struct sockaddr *)&server, sizeof server)) return perror("connect"), 1;
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
    unsigned long long lines = 0;
    for (started_at = now(); now() < ends_at;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, 10);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            ssize_t got, put;
            while ((got = recv(fd, replies, sizeof replies, MSG_DONTWAIT)) > 0)
                for (char *at = replies; (at = memchr(at, '\n', replies + got - at)); at++) lines++;
            while ((put = send(fd, chunk + sent[fd], size - sent[fd], MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
                sent[fd] = (sent[fd] + put) % size;
            if (got == 0 || (put < 0 && errno != EAGAIN)) return fprintf(stderr, "closed\n"), 1;
        }
    }
    printf("{\"replies_per_s\":%.0f,\n", lines / (now() - started_at));
}
