/* listens PORT: whether anyone listens there on the loopback interface. Asks nothing, so IBKR is asked nothing. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(count == 2 ? (unsigned short)atoi(words[1]) : 0);
    if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) != 0) {
        perror("listens PORT");
        return 1;
    }
    return 0;
}
