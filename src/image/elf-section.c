/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding a section of an ELF64 file; nothing in the file is believed. */
#include "elf-section.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>

static bool inside(uint64_t offset, uint64_t size, size_t len)
{
	return offset <= len && size <= len - offset;
}

/* The header of section `i`; the caller has checked that the table lies in the file. */
static Elf64_Shdr section_at(const char *data, const Elf64_Ehdr *eh, size_t i)
{
	Elf64_Shdr sh;

	memcpy(&sh, data + eh->e_shoff + i * sizeof(sh), sizeof(sh));
	return sh;
}

int elf_section(const char *data, size_t len, const char *name, const char **ret, size_t *ret_len)
{
	Elf64_Shdr names, sh;
	Elf64_Ehdr eh;

	if (len < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, data, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || BYTE_ORDER != LITTLE_ENDIAN ||
	    eh.e_shentsize != sizeof(sh) || eh.e_shstrndx >= eh.e_shnum ||
	    !inside(eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(sh), len))
		return -ENOEXEC;
	names = section_at(data, &eh, eh.e_shstrndx);
	if (!inside(names.sh_offset, names.sh_size, len))
		return -ENOEXEC;
	for (size_t i = 1; i < eh.e_shnum; i++) {
		sh = section_at(data, &eh, i);
		if (!inside(sh.sh_name, strlen(name) + 1, names.sh_size) ||
		    memcmp(data + names.sh_offset + sh.sh_name, name, strlen(name) + 1) != 0)
			continue;
		if (sh.sh_type == SHT_NOBITS || !inside(sh.sh_offset, sh.sh_size, len))
			return -ENOEXEC;
		*ret = data + sh.sh_offset;
		*ret_len = sh.sh_size;
		return 0;
	}
	return -ENOENT;
}
