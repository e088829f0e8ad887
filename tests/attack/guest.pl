#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs in a worker: tries what its standard input says, one attempt a line, and prints what came of
# each: "NAME KIND ARGUMENT..." in, "NAME: OUTCOME" out. Needs nothing but perl's base.
use strict;
use warnings;
use Digest::SHA;
use IO::Socket::INET;
use IO::Socket::IP;
use Socket qw(:all);
$| = 1;

sub eth { my ($i) = grep { !m{/lo$} } glob('/sys/class/net/*'); $i =~ s{.*/}{}; return $i }

sub slurp { open(my $f, '<', $_[0]) or die "$_[0]: $!"; local $/; return <$f> }

# What one read gives within the time, or why it gives nothing.
sub answer {
	my ($s, $seconds) = @_;
	my $data;
	my $n = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		alarm $seconds;
		my $r = sysread($s, $data, 4096);
		alarm 0;
		$r;
	};
	return 'no: timeout' if $@;
	return "no: $!" if !defined $n;
	return 'no: closed' if !$n;
	$data =~ s/\r?\n/ /g;
	return "data: $data";
}

# A client that speaks first where there is something to say (\n, \r and \xNN are understood).
sub client {
	my ($proto, $host, $port, @text) = @_;
	my $text = join(' ', @text);
	$text =~ s/\\n/\n/g;
	$text =~ s/\\r/\r/g;
	$text =~ s/\\x(..)/chr(hex($1))/ge;
	my $class = 'IO::Socket::' . ($host =~ /:/ ? 'IP' : 'INET');
	my $s = $class->new(PeerAddr => $host, PeerPort => $port, Proto => $proto, Timeout => 8)
		or return "no: $@";
	local $SIG{PIPE} = 'IGNORE';
	syswrite($s, $text) if length $text;
	return answer($s, $proto eq 'udp' ? 2 : 8);
}

# get HOST PORT PATH: a whole answer of a web server
sub get {
	my ($host, $port, $path) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp',
		Timeout => 8) or return "no: $@";
	syswrite($s, "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n");
	local $/;
	return (readline($s) // "no: $!") =~ s/\r?\n/ /gr;
}

sub question {
	my ($name, $type) = @_;
	return pack('nnnnnn', 7, 0x0100, 1, 0, 0, 0)
		. join('', map { pack('C/a', $_) } split(/\./, $name)) . pack('Cnn', 0, $type, 1);
}

# dns SERVER PROTOCOL NAME TYPE: "rcode R answers N"
sub dns {
	my ($server, $proto, $name, $type) = @_;
	my $q = question($name, $type);
	my $s = IO::Socket::INET->new(PeerAddr => $server, PeerPort => 53, Proto => $proto,
		Timeout => 8) or return "no: $@";
	syswrite($s, $proto eq 'tcp' ? pack('n/a', $q) : $q);
	my $data = '';
	my $ok = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		alarm 4;
		sysread($s, $data, 4096) or die "$!\n";
		alarm 0;
		1;
	};
	return "no: $@" =~ s/\n//r if !$ok;
	$data = substr($data, 2) if $proto eq 'tcp';
	my (undef, $flags, undef, $n) = unpack('nnnn', $data);
	return 'rcode ' . ($flags & 15) . " answers $n";
}

sub packet_socket {
	socket(my $s, 17, SOCK_RAW, unpack('S', pack('n', 3))) or die "AF_PACKET: $!\n";
	bind($s, pack('SnlSCCa8', 17, 3, slurp('/sys/class/net/' . eth() . '/ifindex'), 0, 0, 0, ''))
		or die "bind: $!\n";
	return $s;
}

sub frame {
	my ($hex, $count) = @_;
	my $s = packet_socket();
	my $sent = 0;
	for (1 .. ($count // 1)) {
		$sent++ if defined syswrite($s, pack('H*', $hex));
	}
	return "sent $sent";
}

sub checksum {
	my $sum = 0;
	$sum += $_ for unpack('n*', length($_[0]) % 2 ? "$_[0]\0" : $_[0]);
	$sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
	return ~$sum & 0xffff;
}

# flood NAME PORT COUNT: SYNs from ever new ports, by raw frames
sub flood {
	my ($name, $port, $count) = @_;
	my $to = inet_aton($name) or return 'no: no such name';
	my $from = inet_aton('10.98.0.2');
	my $s = packet_socket();
	my $head = pack('H*', '525400686f73' . '525400637472' . '0800');
	my $ip = pack('CCnnnCCna4a4', 0x45, 0, 40, 0, 0, 64, 6, 0, $from, $to);
	substr($ip, 10, 2) = pack('n', checksum($ip));
	my $sent = 0;
	for my $i (1 .. $count) {
		my $tcp = pack('nnNNCCnnn', 1024 + $i % 60000, $port, $i * 7919, 0, 0x50, 2, 1024, 0, 0);
		substr($tcp, 16, 2) = pack('n', checksum($from . $to . pack('nn', 6, 20) . $tcp));
		$sent++ if defined syswrite($s, $head . $ip . $tcp);
	}
	return "sent $sent";
}

# scan HOST FIRST LAST PROTOCOL: how many ports took a connection, or answered
sub scan {
	my ($host, $first, $last, $proto) = @_;
	my @open;
	for my $port ($first .. $last) {
		my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => $proto,
			Timeout => 3) or next;
		if ($proto eq 'udp') {
			syswrite($s, 'x');
			my $r = '';
			vec($r, fileno($s), 1) = 1;
			next unless select($r, undef, undef, 0.002) && sysread($s, my $data, 100);
		}
		push @open, $port;
	}
	return 'open ' . join(' ', @open);
}

# from ADDRESS HOST PORT: a connection from a second address
sub from {
	my ($address, $host, $port) = @_;
	my $s = IO::Socket::INET->new(LocalAddr => $address, PeerAddr => $host, PeerPort => $port,
		Proto => 'tcp', Timeout => 2) or return "no: $@";
	return answer($s, 2);
}

# cast ADDRESS PORT: a datagram to many
sub cast {
	my ($address, $port) = @_;
	socket(my $s, AF_INET, SOCK_DGRAM, 0) or return "no: $!";
	setsockopt($s, SOL_SOCKET, SO_BROADCAST, 1);
	send($s, 'x', 0, pack_sockaddr_in($port, inet_aton($address))) or return "no: $!";
	return 'sent';
}

# down HOST PORT: reads to the end or for 100 s. up HOST PORT BYTES: sends, then the peer's word.
sub down {
	my ($host, $port, $max) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	my ($got, $start) = (0, undef);
	while ((!$max || $got < $max) && (my $n = sysread($s, my $data, 65536))) {
		$start //= now();
		$got += $n;
	}
	return sprintf('%d %.3f', $got, now() - ($start // now()));
}

sub up {
	my ($host, $port, $bytes) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	local $SIG{PIPE} = 'IGNORE';
	my ($block, $sent) = ('x' x 65536, 0);
	while ($sent < $bytes) {
		my $n = syswrite($s, $block, $bytes - $sent < 65536 ? $bytes - $sent : 65536) or last;
		$sent += $n;
	}
	shutdown($s, 1);
	return answer($s, 100) =~ s/^data: //r;
}

# A block of a stream, different each time.
my $noise;
sub block {
	my ($i) = @_;
	if (!$noise) {
		open(my $f, '<', '/dev/urandom') or die;
		sysread($f, $noise, 262144);
	}
	return pack('Q', $i) . substr($noise, 8);
}

# pour HOST PORT BYTES: sends blocks, then the checksums of both ends. draw: the other direction.
sub pour {
	my ($host, $port, $bytes) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	local $SIG{PIPE} = 'IGNORE';
	my ($sum, $start) = (Digest::SHA->new(1), now());
	for (my $i = 0; $i * 262144 < $bytes; $i++) {
		my $data = block($i);
		$sum->add($data);
		for (my $at = 0; $at < length $data;) {
			my $n = syswrite($s, $data, length($data) - $at, $at) or return "no: $!";
			$at += $n;
		}
	}
	shutdown($s, 1);
	my $theirs = answer($s, 100) =~ s/^data: //r =~ s/ $//r;
	return sprintf('%s %s %.3f', $sum->hexdigest, $theirs, now() - $start);
}

sub draw {
	my ($host, $port, $bytes) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	my ($sum, $start, $got) = (Digest::SHA->new(1), now(), 0);
	syswrite($s, "$bytes\n");
	while (my $n = sysread($s, my $data, 65536)) {
		$sum->add($data);
		$got += $n;
	}
	return sprintf('%s %d %.3f', $sum->hexdigest, $got, now() - $start);
}

# many HOST PORT COUNT: connections that are all open at once, and each of them answers
sub many {
	my ($host, $port, $count) = @_;
	my (@open, $answered);
	my $start = now();
	for (1 .. $count) {
		my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
			or return 'no: ' . @open . ": $@";
		push @open, $s;
	}
	my $opened = now();
	syswrite($open[$_], "number $_\n") for 0 .. $#open;
	for (0 .. $#open) {
		$answered++ if answer($open[$_], 20) eq "data: number $_ ";
	}
	return sprintf('open %d answered %d in %.3f %.3f', scalar @open, $answered // 0,
		$opened - $start, now() - $opened);
}

# turns HOST PORT COUNT: connections one after the other, each of which is asked one thing
sub turns {
	my ($host, $port, $count) = @_;
	my $start = now();
	for (1 .. $count) {
		my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
			or return "no: $@";
		syswrite($s, 'x');
		sysread($s, my $data, 10) or return 'no: closed';
	}
	return sprintf('%d %.3f', $count, now() - $start);
}

# asks HOST PORT COUNT: one connection that is asked again and again
sub asks {
	my ($host, $port, $count) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	my $start = now();
	for (1 .. $count) {
		syswrite($s, 'x');
		sysread($s, my $data, 10) or return 'no: closed';
	}
	return sprintf('%d %.3f', $count, now() - $start);
}

# stall HOST PORT SECONDS: asks for an endless stream and reads nothing of it
sub stall {
	my ($host, $port, $seconds) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	sleep $seconds;
	return 'stalled';
}

# drip HOST PORT COUNT: datagrams of one byte
sub drip {
	my ($host, $port, $count) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'udp')
		or return "no: $@";
	syswrite($s, 'x') for 1 .. $count;
	sleep 60;
	return 'done';
}

# obey HOST PORT NAME: goes on with what the other end says, a line at a time, and tells it how it was
sub obey {
	my ($host, $port, $name) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp')
		or return "no: $@";
	syswrite($s, "$name\n");
	while (my $line = readline($s)) {
		syswrite($s, attempt(split(' ', $line)) . "\n");
	}
	return 'over';
}

sub now { return slurp('/proc/uptime') =~ /^(\S+)/ ? $1 : die }

my %kinds = (
	tcp => sub { client('tcp', @_) }, udp => sub { client('udp', @_) },
	name => sub { my $a = inet_aton($_[0]); $a ? 'is ' . inet_ntoa($a) : 'no: no such name' },
	dns => \&dns, frame => \&frame, flood => \&flood, scan => \&scan, from => \&from,
	cast => \&cast, down => \&down, up => \&up, drip => \&drip, get => \&get, pour => \&pour,
	draw => \&draw, many => \&many, stall => \&stall, turns => \&turns, asks => \&asks,
	obey => \&obey,
	run => sub { my $out = `@_ 2>&1`; $out =~ s/\n/ /g; "exit " . ($? >> 8) . " $out" },
);

sub attempt {
	my ($kind, @args) = @_;
	my $outcome = eval { $kinds{$kind}->(@args) } // "no: $@";
	return $outcome =~ s/\n/ /gr;
}

my @children;
while (my $line = <STDIN>) {
	my ($name, $kind, @args) = split(' ', $line);
	my $beside = $kind =~ s/&$//; # goes on while the next lines are read
	if ($beside and my $pid = fork) {
		push @children, $pid;
		next;
	}
	print "$name: ", attempt($kind, @args), "\n";
	exit 0 if $beside;
}
waitpid($_, 0) for @children;
