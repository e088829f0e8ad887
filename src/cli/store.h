/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The user's cache of disks and templates: entries by key, whole or not there, and never taken away
 * in use. */
/*
 * An entry is KEY.img, the disk, and KEY.json, what is known of it: a line of JSON and a line with
 * the SHA-256 of the first. The disk is linked in before its description is renamed in, so that
 * what has no description is a remnant. KEY.lock is held by whoever makes the entry. Who uses an
 * entry has a shared lock (flock) on the open disk; who removes one, the exclusive lock.
 *
 * An entry that builds go on writing to has also KEY.list, what its owner knows of the disk. It is
 * taken out of the store for as long: killed meanwhile, it is a remnant.
 */
#ifndef CONTRACTOR_CLI_STORE_H
#define CONTRACTOR_CLI_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

#define STORE_LIMIT	 (20 * GIB)
#define STORE_LABEL_SIZE 256

struct store_entry {
	char key[SHA256_HEX_SIZE];
	char label[STORE_LABEL_SIZE]; /* what it was made for, for people */
	uint64_t size;		      /* of the disk */
	uint64_t mtime_ns;	      /* of the disk when it was done */
	uint64_t made, used;	      /* seconds since 1970: when it was made, and last used */
	uint64_t blocks;	      /* bytes that it takes on the host's disk */
	/* of the pages that are not all zeros, with their places; where there is a list, of that */
	char sha256[SHA256_HEX_SIZE];
	bool has_list;
};

/* CACHE/layers, made where it is missing, owned by the user and closed to others: its descriptor.
 */
int store_open(const char *cache, struct err *e);

/*
 * The disk of an entry, open for reading with a shared lock, when it is there, whole, and not older
 * than max_age seconds (0: any age); its use is noted. Checked are the description's hash and the
 * disk's owner, size and time of change. 1; 0 when there is none; a damaged entry is removed, and
 * *ret_damage (of ERR_TEXT_MAX bytes, "" otherwise) says what was wrong with it.
 */
int store_find(int store, const char *key, uint64_t max_age, int *ret_fd, struct store_entry *ret,
	       char *ret_damage);

/*
 * Waits until nobody else makes that entry, and holds the right to until the descriptor is closed;
 * `waiting` is called once before it waits. The descriptor, -ETIMEDOUT after wait_ms, or a negative
 * errno.
 */
int store_lock(int store, const char *key, uint64_t wait_ms, void (*waiting)(void *user_data),
	       void *user_data, struct err *e);

/*
 * Puts a disk that has no name yet (O_TMPFILE) into the store, in an older one's place, when all of
 * it is on the host's disk. Fills size, mtime, blocks and hash of *entry; key, label and made are
 * the caller's. 0 or a negative errno: then the store is as before.
 */
int store_keep(int store, int fd, struct store_entry *entry, struct err *e);

/* Whether there is an entry of that key, whole or not. */
bool store_has(int store, const char *key);

/*
 * Takes an entry with a list out of the store, for its lock's holder: the disk, open for reading
 * and writing, and the list, which are the caller's. 1, or 0 when there is none, and *ret_damage as
 * in store_find.
 */
int store_take(int store, const char *key, int *ret_fd, struct buf *ret_list, char *ret_damage);

/*
 * Puts it back, or a disk without a name in for the first time; as store_keep, but the disk's
 * content is neither hashed nor waited for until it is on the host's disk: the list must tell
 * whether the machine has been started anew since. On failure it is gone.
 */
int store_put(int store, int fd, const struct buf *list, struct store_entry *entry, struct err *e);

/* Removes what its lock's holder has taken, or has not put. */
void store_drop(int store, const char *key);

/* The entries that have a description, the last used first; *ret is malloc'ed. 0 or negative. */
int store_list(int store, struct store_entry **ret, size_t *ret_n, struct err *e);

/* 0, -EBUSY when it is in use, or a negative errno. */
int store_remove(int store, const char *key);

/* Reads all of a disk and compares its hash. 0, or -EBADMSG with what is wrong. */
int store_verify(int store, const struct store_entry *entry, struct err *e);

/* How much all may take: $CONTRACTOR_CACHE_LIMIT (a size), or STORE_LIMIT. */
uint64_t store_limit(void);

/*
 * Removes what killed builds have left, and the least recently used entries that nobody uses until
 * all take no more than `limit`.
 */
void store_evict(int store, uint64_t limit);

/* Pure: the description's text, malloc'ed, NULL: OOM; and back, 0 or -EBADMSG with the reason. */
char *store_print(const struct store_entry *entry);
int store_parse(const char *text, size_t len, struct store_entry *ret, struct err *e);

#endif
