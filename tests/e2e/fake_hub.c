/* fake_hub.c: fake_hub FOLDER LOG: prints the port and serves until its standard input ends. */
#include <stdio.h>

#include "support/fake_hub.h"

int main(int argc, char **argv)
{
    FILE *log = argc == 3 ? fopen(argv[2], "w") : NULL;
    struct fake_hub *hub = log ? fake_hub_start(argv[1], log) : NULL;
    if (!hub)
        return fprintf(stderr, "usage: fake_hub FOLDER LOG\n"), 2;
    printf("%u\n", fake_hub_port(hub));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    fake_hub_stop(hub);
    fclose(log);
    return 0;
}
