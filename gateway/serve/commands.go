package serve

import (
	"strings"

	"snapswarm/common/snapshot"
)

// commands are lines to copy into a shell. Everything in them is quoted where it has to be: names come out of torrents.
type commands struct{ v view }

func (v view) commands() commands { return commands{v} }

// fetch downloads the file of an address with curl under its own name.
func (c commands) fetch(options, url string) string {
	line := "curl " + options + "-O " + quote(url)
	if name := c.v.torrent.Name; escapePath(name) != name {
		line = "curl " + options + "-o " + quote(name) + " " + quote(url) // -O would keep the escapes
	}
	return line
}

// latest downloads the newest version.
func (c commands) latest() string {
	return c.fetch("", c.v.base+"/"+escapePath(c.v.channel.Salt+"/"+alias+"/"+c.v.torrent.Name))
}

// resume downloads this version, or continues where a download of it ended.
func (c commands) resume() string { return c.fetch("-C - ", c.v.url("")) }

// wget is the same by wget.
func (c commands) wget() string { return "wget -c " + quote(c.v.url("")) }

// aria2 takes the file from the swarm and its origins.
func (c commands) aria2() string {
	return "aria2c --seed-time=0 " + quote(c.v.url(".torrent"))
}

// mirror follows the channel and verifies by itself.
func (c commands) mirror() string {
	line := "mirror --once --channel " + quote(c.v.channel.String())
	if c.v.base != "" {
		line += " --bucket-url " + quote(c.v.base)
	}
	return line
}

// check compares the file with the signed hash; "" when there is none.
func (c commands) check() string {
	if c.v.torrent.Description == nil {
		return ""
	}
	return "curl -s " + quote(c.v.url(".sha256")) + " | sha256sum -c"
}

// unpack opens the file; "" when it is not known how.
func (c commands) unpack() string {
	d := c.v.torrent.Description
	switch {
	case d == nil || d.Codec.Format != snapshot.FormatZstd:
		return ""
	case d.Kind == snapshot.KindTar:
		return "tar --zstd -xf " + quote(c.v.torrent.Name)
	}
	return "zstd -d " + quote(c.v.torrent.Name)
}

// quote makes s one word of a POSIX shell.
func quote(s string) string {
	safe := func(r rune) bool {
		return r <= '~' && isAlphanumeric(byte(r)) || r <= '~' && strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !safe(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
