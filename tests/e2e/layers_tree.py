# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of many situations, what two builds do with it, and what is done between them by hand.

But not this: of a file with more than one name, which a layer has, one that is written to is a file of
its own from then on.
"""

import os
import random
import shutil

# What is older than this has kept its time; all else was written while the test ran.
OLD = 1577836800
ODD = [b"new\nline", b"latin-\xe9", b"-rf", b"back\\slash", b"tab\tin", b"\x01", b" ", b"*", b"n" * 255,
       "\u65e5\u672c".encode(), b"\xff\xfe"]
DEEP = "d/" * 56
MANY = 120

# Paths of files; what begins with "." or has no room in a name is made below by hand.
FILES = """keep/plain keep/secret keep/tool keep/ro keep/sub/deeper/x keep/fifo keep/device keep/xattr keep/dated/f
edit/append edit/truncate edit/chmod edit/touch edit/same edit/inplace edit/replaced edit/mmap
edit/via-link edit/suid edit/anew edit/extend
gone/a gone/sub/b part/x part/y part/sub/z emptied/x emptied/sub/y
ren/a ren/b ren/sub/c ren/.wh.a back/a back/b swap1/f swap2/f swap2/g into/a into/sub/b
nest/inner/p nest/inner/q nest/stays changed-moved/f changed-moved/g changed-moved/sub/i
over/a over-empty/.keep up/lower/a up/lower/b cross/a cross/b moved-file twice/a twice/sub/b
d2f/x f2d f2l d2l/x d2p/x f2s d2f2d/x f2d2f anew/old1 anew/old2 anew/sub/x anew-empty/x
hard/one hard/w1 hard/single hard/out hard/sub/m
.wh.x .wh..wh..opq wh/f wh/g wh/.wh.g wh/.wh.h
second/changed second/removed second/d2f/x second/d2f/y second/f2d second/d2l/x second/shared/x
second/written second/deleted second/moved/x second/mode second/emptied/x second/d2f-built/x
second/kept/x second/hand-changed second/hand-removed second/sneaky second/sneaky2 second/untouched""".split()
EMPTY = ["empty/a/b", "gone/empty", "empty-gone", "over-target", "keep/closed", "empty-renamed"]
MODES = {"keep/secret": 0o600, "keep/tool": 0o755, "keep/ro": 0o444, "keep/closed": 0o500}
LINKS = {"links/in": "../keep/plain", "links/dangling": "nowhere", "links/abs": "/etc/passwd",
         "links/up": "../../../../x", "links/checked": "../keep/sub/../plain",
         "links/abs-gone": "/gone", "links/abs-file": "/file", "links/abs-moved": "/moved",
         "links/dir/abs": "/etc/shadow", "links/to-dir": "../keep", "links/retarget": "a",
         "links/to-edit": "../edit/via-link", "links/l2f": "../keep/plain", "links/l2d": "../keep",
         "links/up-to-ws": "../../top", "ren/link": "b", "part/l": "x"}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def age(top):
    """Times of long ago, one for each, deepest first, as a file that is made changes its folder's."""
    n = 0
    for base, dirs, files in os.walk(top, topdown=False):
        for name in sorted(files) + sorted(dirs) + [b"."]:
            path = os.path.join(base, name)
            n += 1
            if os.lstat(path).st_mtime > OLD:
                os.utime(path, ns=(0, (1_000_000_000 + n * 1000) * 10**9 + 123456789),
                         follow_symlinks=False)


def sneak(path):
    """Another content of the same size, with the same time."""
    st = os.stat(path)
    with open(path, "r+b") as f:
        f.write(b"SNEAKY")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def make(code):
    """The first source."""
    rng = random.Random(1)
    for name in FILES:
        write(os.path.join(code, name), b"%s of the source\n" % name.encode() * rng.randrange(1, 9))
    for name in EMPTY:
        os.makedirs(os.path.join(code, name), exist_ok=True)
    write(os.path.join(code, "keep/zero"), b"")
    write(os.path.join(code, "edit/large"), rng.randbytes(300000))
    write(os.path.join(code, "keep/large"), rng.randbytes(300000))
    for name, size in (("keep/sparse", 4 << 20), ("edit/sparse", 4 << 20)):
        with open(os.path.join(code, name), "wb") as f:
            f.truncate(size)
            f.seek(size // 2)
            f.write(b"middle")
    for i in range(MANY):
        write(os.path.join(code, f"many/{i}"), b"%d" % i)
    for name in ODD:
        for folder in (b"odd/", b"odd-gone/", b"odd-anew/"):
            write(os.fsencode(code) + b"/" + folder + name, name)
        write(os.fsencode(code) + b"/odd-ren/" + name + b"/" + name, name)
    for name in ("changed", "gone", "kept"):
        write(os.path.join(code, "deep", DEEP, name), b"deep\n")
    write(os.path.join(code, "deep2", DEEP, "f"), b"deep\n")
    for name, target in LINKS.items():
        os.makedirs(os.path.dirname(os.path.join(code, name)), exist_ok=True)
        os.symlink(target, os.path.join(code, name))
    shutil.copy2(os.path.join(code, "hard/one"), os.path.join(code, "hard/two"))
    for name, mode in MODES.items():
        os.chmod(os.path.join(code, name), mode)
    age(os.fsencode(code))


def change(code):
    """The source of the second build."""
    def path(name):
        return os.path.join(code, name)

    for name in ("second/changed", "edit/append", "second/written", "second/hand-changed"):
        write(path(name), b"changed in the source\n")
    for name in ("second/removed", "second/f2d", "keep/secret", "d2f/x", "many/3", "many/4",
                 "links/retarget", "links/abs-file", "second/emptied/x"):
        os.unlink(path(name))
    for name in ("second/d2f", "second/d2l", "keep/sub", "part", "second/d2f-built", "ren",
                 "second/kept", "deep2"):
        shutil.rmtree(path(name))
    for name in ("second/d2f", "part", "second/d2f-built", "made-file-now-source/f", "made/m2",
                 "second/f2d/x", "keep/secret/now-a-folder", "deep2"):
        write(path(name), b"new in the source\n")
    os.symlink("changed", path("second/d2l"))
    os.symlink("/etc/hosts", path("links/new-abs"))
    os.symlink("b", path("links/retarget"))
    os.chmod(path("second/mode"), 0o750)
    os.rename(path("second/moved"), path("second/moved-now"))
    sneak(path("second/sneaky"))
    shutil.copy2(path("second/sneaky2"), path("second/sneaky3"))
    sneak(path("second/sneaky3"))
    os.rename(path("second/sneaky3"), path("second/sneaky2"))
    age(os.fsencode(code))


def part(ws):
    """Makes copies of what has two names: such a workspace would go in by tar."""
    for where, _, files in os.walk(os.fsencode(ws)):
        for name in files:
            path = os.path.join(where, name)
            if os.lstat(path).st_nlink > 1:
                shutil.copy2(path, path + b".copy", follow_symlinks=False)
                os.rename(path + b".copy", path)


def by_hand(ws):
    """What a user does to a workspace between two builds."""
    def path(name):
        return os.path.join(ws, name)

    write(path("src/made/m1"), b"changed by hand\n")
    write(path("src/second/hand-changed"), b"changed by hand, the source's again\n")
    os.unlink(path("src/second/hand-removed"))
    os.unlink(path("src/made/gone-by-hand"))
    shutil.rmtree(path("src/made/sub"))
    os.unlink(path("src/f2d/x"))
    os.rmdir(path("src/f2d"))
    sneak(path("src/made/sneaky"))
    sneak(path("src/second/untouched"))
    write(path("src/hand/new"), b"by hand\n")
    write(path("src/hand/.wh.new"), b"by hand\n")
    write(path("src/keep/hand"), b"by hand among the source's\n")
    write(path("hand-top/x"), b"by hand\n")
    os.makedirs(path("hand-top/empty"))
    os.symlink("../new", path("src/hand/link"))
    os.symlink("/etc/hostname", path("src/hand/abs"))
    write(path("src/hand/hard"), b"by hand\n")
    os.chmod(path("src/hand/new"), 0o640)
    os.mkfifo(path("src/hand/fifo"))
    os.rename(path("top-dir/b"), path("src/hand/from-top"))
    os.utime(path("src/hand/new"), ns=(0, 987654321_987654321))
    # no more: what is copied up from a layer, or packed from a folder that has moved, has no holes
    with open(path("hand-sparse"), "wb") as f:
        f.truncate(1 << 20)


# What all recipes have: how /workspace is mounted, and words for what they do.
WORDS = r"""
grep ' /workspace ' /proc/mounts | tail -n 1 | cut -d' ' -f3
cat > /tmp/Do.pm <<'END'
use strict; use warnings; use Time::HiRes qw(lstat utime); use Socket;
sub fail { die "@_: $!\n" }
sub put { my ($f, $text, $how) = @_; open(my $h, $how || '>', $f) or fail($f);
	print $h $text; close($h) or fail($f) }
sub add { put(@_, '>>') }
sub ren { rename($_[0], $_[1]) or fail('rename', @_) }
sub rm { for (@_) { unlink($_) or fail('unlink', $_) } }
sub rmr { system('rm', '-r', '--', @_) == 0 or fail('rm -r', @_) }
sub dir { for (@_) { mkdir($_) or fail('mkdir', $_) } }
sub rmd { for (@_) { rmdir($_) or fail('rmdir', $_) } }
sub lnk { link($_[0], $_[1]) or fail('link', @_) }
sub sym { symlink($_[0], $_[1]) or fail('symlink', @_) }
sub cut { truncate($_[0], $_[1]) or fail('truncate', @_) }
sub mode { my $m = shift; chmod($m, $_) == 1 or fail('chmod', $_) for @_ }
sub date { utime($_[0], $_[0], $_[1]) == 1 or fail('utime', $_[1]) }
sub at { my ($f, $at, $text) = @_; open(my $h, '+<', $f) or fail($f); seek($h, $at, 0); print $h $text }
sub sock { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or fail('socket');
	bind($s, pack_sockaddr_un($_[0])) or fail('bind', $_[0]) }
sub xattr { my ($p, $name, $value) = @_; my $n = length($value); syscall(188, $p, $name, $value, $n, 0) }
# all of a tree as this build sees it; times only of what has kept an old one
sub show { my ($p) = @_; my @s = CORE::lstat($p) or fail($p); my $kind = $s[2] & 0170000;
	my $what = sprintf('%o', $s[2]);
	$what .= ' ' . readlink($p) if $kind == 0120000;
	if ($kind == 0100000) {
		my $sum = 'large';
		if ($s[7] < 1 << 20) { open(my $h, '<', $p) or fail($p); local $/;
			my $text = <$h>; $sum = unpack('%32C*', defined $text ? $text : '') }
		$what .= " $s[7] $sum";
	}
	$what .= $s[9] < OLD ? sprintf(' %.3f', (lstat($p))[9]) : ' now';
	my $name = $p; $name =~ s/([^!-~])/sprintf('%%%02x', ord $1)/ge; print "$name $what\n";
	return unless $kind == 0040000;
	opendir(my $d, $p) or fail($p);
	show("$p/$_") for grep { !/^\.\.?\z/ } sort(readdir($d)) }
1;
END
""".replace("OLD", str(OLD))
PERL = "perl -I/tmp -MDo -Mstrict -Mwarnings"
SHOW = PERL + " -e 'show(\"/workspace\")'\n"

FIRST = WORDS + SHOW + PERL + r""" - <<'END'
# files
add('edit/append', "more\n"); cut('edit/truncate', 3);
cut('edit/extend', 1 << 30); mode(0751, 'edit/chmod', 'keep/dated');
date(1111111111.25, 'edit/touch'); date(1111111112.5, 'keep/dated');
put('edit/same', do { local (@ARGV, $/) = 'edit/same'; <> }); add('links/to-edit', "through\n");
at('edit/large', 150000, 'CHANGED'); at('edit/inplace', 0, 'X');
put('edit/replaced.new', "another\n"); ren('edit/replaced.new', 'edit/replaced');
rm('edit/anew'); put('edit/anew', "anew\n"); mode(04755, 'edit/suid'); mode(01777, 'swap2');
date(1111111113, 'edit/sparse'); xattr('keep/xattr', 'user.x', 'y');
rm('keep/fifo'); system('mkfifo', 'keep/fifo', 'fifo'); sock('socket'); rm('f2s'); sock('f2s');
ren('moved-file', 'keep/moved-file');
put('never', ''); rm('never');
# folders that go, whole or in part
rmr('gone', 'empty-gone'); rm('part/x', 'part/l'); rmr('part/sub'); rmr('emptied/sub'); rm('emptied/x');
for (0 .. MANY) { rm("many/$_") if $_ % 3 == 0 && -e "many/$_" }
# folders that move
ren('ren', 'ren2'); ren('back', 'tmp'); add('tmp/a', "moved\n"); ren('tmp', 'back');
ren('swap1', 'swap'); ren('swap2', 'swap1'); ren('swap', 'swap2');
ren('into', 'keep/sub/into'); ren('nest/inner', 'nest/moved'); rm('nest/moved/q'); ren('nest', 'nest2');
add('changed-moved/f', "more\n"); rm('changed-moved/g'); ren('changed-moved', 'changed-moved2');
rmr('changed-moved2/sub'); dir('changed-moved'); put('changed-moved/h', "h\n");
ren('over', 'over-target'); ren('up/lower', 'lower'); rm('lower/b'); put('up/lower', "a file now\n");
ren('cross', '/workspace/cross'); dir('cross'); put('cross/b', "b\n"); ren('empty-renamed', 'empty-r2');
ren('twice', 'twice2'); ren('twice2/sub', 'twice2/sub2'); ren('twice2', 'keep/twice3');
dir('twice', 'twice/sub'); put('twice/sub/b', "b\n");
# another kind in the same place
rmr('d2f'); put('d2f', "a file\n"); rm('f2d'); dir('f2d'); put('f2d/x', "x\n");
rm('f2l'); sym('keep/plain', 'f2l'); rmr('d2l'); sym('keep', 'd2l'); rmr('d2p'); system('mkfifo', 'd2p');
rmr('d2f2d'); put('d2f2d', ''); rm('d2f2d'); dir('d2f2d'); put('d2f2d/y', "y\n");
rm('f2d2f'); dir('f2d2f'); put('f2d2f/x', ''); rm('f2d2f/x'); rmd('f2d2f'); put('f2d2f', "again\n");
rmr('anew'); dir('anew', 'anew/sub2'); put('anew/old2', "new\n"); put('anew/new1', "new\n");
rmr('anew-empty'); dir('anew-empty');
rm('links/l2f', 'links/l2d'); put('links/l2f', "a file\n"); dir('links/l2d'); put('links/l2d/x', '');
# links
lnk('hard/single', 'hard/single2'); add('hard/single2', "through the other\n");
lnk('hard/out', '/workspace/hard-out'); lnk('hard/sub/m', 'hard/m2'); rm('hard/sub/m');
put('hard/m3', "m3\n"); lnk('hard/m3', 'hard/sub/m4'); lnk('hard/m3', 'hard/m5');
lnk('ren2/sub/c', 'hard/into1'); lnk('hard/w1', 'keep/sub/into/into2'); lnk('hard/m3', 'ren2/into3');
lnk('ren2/sub/c', 'keep/sub/into/into4'); put('ren2/into5', "into\n"); lnk('ren2/into5', 'ren2/into6');
rm('links/abs-gone', 'links/abs-file'); put('links/abs-file', "a file\n");
ren('links/abs-moved', 'links/abs-moved2'); ren('links/dir', 'links/dir2'); put('links/dir2/x', '');
rm('links/retarget'); sym('c', 'links/retarget'); put('links/to-dir/through', "through\n");
sym('/etc/passwd', 'links/made-abs'); sym('../../..', 'links/made-up'); sym('none', 'links/made-dangling');
sym('../keep/sub/../ro', 'links/made-checked'); sym('../edit', 'links/made-dir');
# names
for (ODD) { add("odd/$_", '+'); rm("odd-gone/$_"); ren("odd-ren/$_/$_", "odd-ren/$_/moved");
	ren("odd-ren/$_", "odd-ren/2" . substr($_, 0, 200)); put("odd/2" . substr($_, 0, 200), $_) }
rmr('odd-anew'); dir('odd-anew'); for (ODD) { dir("odd-anew/$_"); put("odd-anew/$_/f", $_) }
put('.wh.made', "made\n"); rm('wh/f', '.wh..wh..opq'); ren('wh/g', 'wh/.wh.i'); dir('.wh.dir');
put('.wh.dir/.wh.f', "f\n"); put('wh/.wh.f', "made where f was\n");
# deep down
my $deep = 'd/' x 56; add("deep/$deep/changed", "more\n"); rm("deep/$deep/gone");
my ($half) = 'd/' x 28; chop $half; ren("deep2/$half/d", "deep2/$half/e");
# modes that bar others
put('zero', "zero\n"); mode(0, 'zero'); dir('zero-dir'); put('zero-dir/f', "f\n"); mode(0, 'zero-dir/f', 'zero-dir');
dir('ren2/zero'); mode(0, 'edit/mmap', 'ren2/zero', 'ren2/sub');
# what the source has not
dir('made', 'made/sub', 'made/empty'); put("made/$_", "$_\n") for ('m1', 'gone-by-hand', 'sub/x', 'sneaky');
put('made/sneaky', "made by the build\n");
put('made-file-now-source', "made\n"); put('second/f2d.o', "made\n"); put('second/d2f-built/o', "made\n");
add('second/written', "by the build\n"); rm('second/deleted'); put('second/kept/made', "made\n");
put('second/emptied/made', "made\n"); put('part/made', "made\n");
put('/workspace/top-file', "top\n"); dir('/workspace/top-dir'); put("/workspace/top-dir/$_", "$_\n") for ('a', 'b');
put('made/sparse', ''); cut('made/sparse', 2 << 20); at('made/sparse', 1 << 20, 'x');
put('made/less', ''); cut('made/less', 1 << 20); at('made/less', 7 << 16, 'x'); ren('made/sparse', 'sparse');
# what only looks as if overlayfs had made it, or is none of a build's business
rm('keep/device'); system('mknod made/white c 0 0 2>/dev/null && rm made/white; mknod null c 1 3; mknod block b 7 0
	mknod keep/device c 1 3');
for my $x ('opaque', 'redirect', 'metacopy', 'whiteout') { for my $n ('trusted', 'user') {
	xattr($_, "$n.overlay.$x", $x eq 'redirect' ? '/keep' : 'y') for ('keep/sub', 'made', 'made/m1', 'second') } }
END
mkdir mnt && mount -t tmpfs none mnt && touch mnt/x
""".replace("(ODD)", "(" + ", ".join(
    '"' + "".join(f"\\x{b:02x}" for b in name) + '"' for name in ODD) + ")").replace(
        "MANY", str(MANY - 1)) + SHOW

SECOND = WORDS + SHOW + PERL + r""" - <<'END'
add('made/m1', "twice\n"); add('second/changed', "by the build\n"); rm('second/mode');
ren('made', 'made2'); ren('made2', 'made'); ren('hand', '/workspace/hand-moved');
ren('/workspace/top-dir', 'top-dir'); rm('/workspace/top-file'); ren('/workspace/cross', 'cross2');
rmr('keep/sub'); dir('keep/sub'); put('keep/sub/f', "f\n"); rmr('second/kept'); rmd('d2f');
ren('ren2', 'ren3'); add('ren3/sub/c', "c\n"); rm('ren3/b'); ren('/workspace/hand-top', '/workspace/hand-top2');
ren('lower', 'up2'); rm('hard/m3', 'hard/two'); lnk('edit/touch', 'hard/three');
rmr('odd-anew'); rm('links/made-abs'); ren('links/made-up', 'links/made-up2'); ren('deep2', 'deep3');
rmr('many'); dir('many'); put('many/0', "0\n"); rm('zero'); rmr('zero-dir'); put('zero-dir', "a file\n");
add('edit/append', "more\n"); ren('/workspace/hand-sparse', 'hand-sparse');
END
""" + SHOW
