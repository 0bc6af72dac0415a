/* Prints a number, 1 to 3999, as the Romans wrote it. */
#include <stdio.h>
#include <stdlib.h>

static const struct { int value; const char *sign; } signs[] = {
    {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
    {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
};

int main(int argc, char **argv) {
    int left = argc == 2 ? atoi(argv[1]) : 0;
    if (left < 1 || left > 3999) {
        fprintf(stderr, "usage: roman NUMBER (1 to 3999)\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        for (; left >= signs[i].value; left -= signs[i].value)
            fputs(signs[i].sign, stdout);
    putchar('\n');
    return 0;
}
