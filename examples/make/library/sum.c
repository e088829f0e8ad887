#include "sum.h"

long sum(const int *numbers, unsigned n)
{
	long all = 0;

	for (unsigned i = 0; i < n; i++)
		all += numbers[i];
	return all;
}
