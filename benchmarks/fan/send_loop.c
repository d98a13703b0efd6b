/* The least that a server can do: for each event one send() to each viewer.
 *
 *   send_loop
 *
 * listens on a free port of 127.0.0.1 and says which. Who sends a GET is a viewer; who sends anything else publishes, one
 * event a line. It leaves when standard input closes. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, MOST = 20000, ROOM = 1 << 16 };

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
static int viewers[MOST], count;
static long number;

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void tell(const char *line, size_t size)
{
	char frame[ROOM];
	int each, length = snprintf(frame, sizeof frame, "data: %.*s\nid: %ld\n\n", (int)size, line, ++number);

	for (each = 0; each < count; each++)
		send(viewers[each], frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hear_publisher(char *room, ssize_t size)
{
	static char lines[2 * ROOM];
	static size_t kept;
	char *at = lines, *newline;

	memcpy(lines + kept, room, size);
	kept += size;
	while ((newline = memchr(at, '\n', lines + kept - at))) {
		tell(at, newline - at);
		at = newline + 1;
	}
	kept -= at - lines;
	memmove(lines, at, kept);
}

static void hear(int socket, int poll_fd)
{
	char room[ROOM];
	ssize_t size = recv(socket, room, sizeof room, 0);

	if (size <= 0) {
		epoll_ctl(poll_fd, EPOLL_CTL_DEL, socket, NULL);
		return;
	}
	if (strncmp(room, "GET ", 4)) {
		hear_publisher(room, size);
		return;
	}
	send(socket, head, sizeof head - 1, MSG_NOSIGNAL);
	viewers[count++] = socket;
}

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
	int listener = socket(AF_INET, SOCK_STREAM, 0), poll_fd = epoll_create1(0), each, found, on = 1;

	if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1024) < 0)
		give_up("listen");
	getsockname(listener, (struct sockaddr *)&address, &size);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	event.data.fd = listener;
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
	event.data.fd = 0;
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &event);
	for (;;) {
		if ((found = epoll_wait(poll_fd, events, EVENTS, -1)) < 0)
			give_up("epoll_wait");
		for (each = 0; each < found; each++) {
			if (events[each].data.fd == 0)
				return 0;
			if (events[each].data.fd != listener) {
				hear(events[each].data.fd, poll_fd);
			} else if ((event.data.fd = accept(listener, NULL, NULL)) >= 0) {
				setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
				epoll_ctl(poll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
			}
		}
	}
}
