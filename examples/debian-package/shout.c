#include <ctype.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		for (const char *p = argv[i]; *p; p++)
			putchar(toupper((unsigned char)*p));
		putchar(i + 1 < argc ? ' ' : '\n');
	}
	return 0;
}
