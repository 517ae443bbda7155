/* publish SOURCE TARGET: copies a small file, in an image that has no shell and no cp. */
#include <stdio.h>

int main(int count, char **words)
{
    char text[4096];
    FILE *source = count == 3 ? fopen(words[1], "rb") : NULL;
    FILE *target = source != NULL ? fopen(words[2], "wb") : NULL;
    if (target == NULL) {
        perror("publish SOURCE TARGET");
        return 1;
    }
    size_t length = fread(text, 1, sizeof text, source);
    return fwrite(text, 1, length, target) == length && fclose(target) == 0 ? 0 : 1;
}
