/* The sum of n numbers. */
long sum(const int *numbers, unsigned n);
