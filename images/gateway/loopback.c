/* Keeps IBKR's gateway on the loopback interface.
 *
 * The program always listens on every interface and has no setting for it; its address list guards HTTP requests
 * but not WebSockets. Loaded with LD_PRELOAD, this turns a bind to "any address" with a port into a bind to loopback.
 * A bind to port 0 is left alone: that is a socket about to connect outwards.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    if (address != NULL && address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in narrowed;
        memcpy(&narrowed, address, sizeof narrowed);
        if (narrowed.sin_addr.s_addr == htonl(INADDR_ANY) && narrowed.sin_port != 0) {
            narrowed.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            return (int)syscall(SYS_bind, socket, &narrowed, sizeof narrowed);
        }
    }
    if (address != NULL && address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 narrowed;
        memcpy(&narrowed, address, sizeof narrowed);
        if (IN6_IS_ADDR_UNSPECIFIED(&narrowed.sin6_addr) && narrowed.sin6_port != 0) {
            /* 127.0.0.1 for a socket of both families: the program's list of admitted addresses knows no other. */
            static const struct in6_addr mapped = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};
            narrowed.sin6_addr = mapped;
            return (int)syscall(SYS_bind, socket, &narrowed, sizeof narrowed);
        }
    }
    return (int)syscall(SYS_bind, socket, address, length);
}
