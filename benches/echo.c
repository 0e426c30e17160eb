#define _GNU_SOURCE
/* The yardstick: a byte echo on epoll, level-triggered, with no parsing and no bounds. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    static char buffer[65536];
    struct epoll_event events[1024], event = {.events = EPOLLIN};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return perror("bind"), 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    fprintf(stderr, "listening on tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    event.data.fd = listener;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, 0, 0, 0)) >= 0) {
                    event.data.fd = fd;
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            ssize_t length = read(fd, buffer, sizeof buffer);
            if (length <= 0 || write(fd, buffer, length) != length) close(fd);
        }
    }
}
