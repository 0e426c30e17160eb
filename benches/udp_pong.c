#define _GNU_SOURCE
/* The yardstick for datagrams: each ping received, turned into its pong and sent, as plainly as can
 * be: epoll, level-triggered, on a socket that is bound to one address, and no questions asked. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int main(void) {
    static char buffer[65536];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (bind(fd, (struct sockaddr *)&address, size)) return perror("bind"), 1;
    getsockname(fd, (struct sockaddr *)&address, &size);
    fprintf(stderr, "listening on udp://127.0.0.1:%d\n", ntohs(address.sin_port));
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    for (;;) {
        epoll_wait(poll, &event, 1, -1);
        ssize_t length;
        while (size = sizeof address,
               (length = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&address, &size)) >= 0) {
            buffer[1] = 'o';
            sendto(fd, buffer, length, 0, (struct sockaddr *)&address, size);
        }
    }
}
