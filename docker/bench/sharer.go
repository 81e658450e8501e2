package main

import (
	"context"
	_ "embed"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sharer is a program that takes a snapshot from an origin and from peers, and stays when it is complete.
type sharer string

const (
	mirrorShared   sharer = "mirror"
	mirrorAlways   sharer = "mirror, ORIGIN_POLICY=always"
	librarySharer  sharer = "anacrolix/torrent"
	libtorrentOnes sharer = "libtorrent"
)

//go:embed webseed.py
var webseedScript string

// sharer is the command that fetches p into dir, listens at addr and knows the peers.
func (b *bench) sharer(ctx context.Context, program sharer, p *publication, dir, addr string, peers []string) (*exec.Cmd, error) {
	_, port, _ := net.SplitHostPort(addr) // freePort made it
	switch program {
	case librarySharer:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return b.command(ctx, nil, self, append([]string{webseedClient, p.path, dir, addr}, peers...)...), nil
	case libtorrentOnes:
		return b.command(ctx, nil, python, append([]string{"-c", webseedScript, p.path, dir, port}, peers...)...), nil
	}
	policy := "shared"
	if program == mirrorAlways {
		policy = "always"
	}
	return b.command(ctx, map[string]string{
		"CHANNEL": p.link, "BUCKET_URL": p.url, "SEED_PEERS": strings.Join(peers, ","), "DATA_DIR": dir, "LISTEN_ADDR": addr,
		"ORIGIN_POLICY": policy,
	}, b.program("mirror")), nil
}

// complete finds out of a program's output whether it has everything.
func (s sharer) complete(output string) bool {
	if s == librarySharer || s == libtorrentOnes {
		return strings.HasPrefix(output, "complete\n")
	}
	_, err := stepTook([]byte(output), "get "+salt)
	return err == nil
}

// path is a pattern of the file below the program's folder.
func (s sharer) path() string {
	if s == librarySharer || s == libtorrentOnes {
		return swarmFile
	}
	return filepath.Join(salt, "2*", swarmFile)
}
