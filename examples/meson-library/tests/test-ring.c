#include <assert.h>
#include <string.h>

#include "ring.h"

int main(void)
{
	unsigned char room[4], out[8];
	struct ring r = {room, sizeof(room), 0, 0};

	assert(ring_put(&r, "abcdef", 6) == 4);
	assert(ring_take(&r, out, 2) == 2 && memcmp(out, "ab", 2) == 0);
	assert(ring_put(&r, "xyz", 3) == 2);
	assert(ring_take(&r, out, 8) == 4 && memcmp(out, "cdxy", 4) == 0);
	assert(ring_take(&r, out, 1) == 0);
	return 0;
}
