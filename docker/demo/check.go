package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"snapswarm/common/archive"
	"snapswarm/common/snapshot"
)

// checkSteps is the number of steps of a check.
const checkSteps = 3

// check does what a user does, and then more than a user does: it compares every byte with the source.
func (d *demo) check(ctx context.Context) error {
	dir := filepath.Join(d.dir, "check")
	if err := os.RemoveAll(dir); err != nil { // of an earlier check in the same DEMO_DIR
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	file, tree := filepath.Join(dir, d.published.Torrent.Name), filepath.Join(dir, "extracted")
	for _, step := range []struct {
		title string
		run   func(context.Context, *step) error
	}{
		{"curl -O " + d.url(), func(ctx context.Context, s *step) error { return d.download(ctx, s, file) }},
		{"compare the SHA-256 with the signed one", func(_ context.Context, s *step) error { return d.compareSum(s, file) }},
		{"extract and compare with " + d.cfg.Snapshot, func(ctx context.Context, s *step) error { return d.compareTree(ctx, s, file, tree) }},
	} {
		if err := d.screen.step(ctx, step.title, step.run); err != nil {
			return err
		}
	}
	d.screen.print("\nThe check has passed.\n")
	return nil
}

// download runs the very command that the demo shows, or does the same where there is no curl.
func (d *demo) download(ctx context.Context, s *step, file string) error {
	curl, err := exec.LookPath("curl")
	if err != nil {
		s.result("without curl, which is not installed")
		return fetch(ctx, d.url(), file)
	}
	cmd := exec.CommandContext(ctx, curl, "--fail", "--silent", "--show-error", "-O", d.url())
	cmd.Dir = filepath.Dir(file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("curl -O %s: %w\n%s\nthe gateway's last lines:\n%s", d.url(), err, out, d.gateway.Tail())
	}
	return nil
}

func fetch(ctx context.Context, url, file string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, resp.Body)
	return err
}

func (d *demo) compareSum(s *step, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	got, want := fmt.Sprintf("%x", h.Sum(nil)), fmt.Sprintf("%x", d.published.Torrent.Description.SHA256)
	if got != want || n != d.published.Torrent.Length {
		return fmt.Errorf("%s has %d bytes with SHA-256 %s, signed are %d with %s", file, n, got, d.published.Torrent.Length, want)
	}
	s.result("%s", got)
	return nil
}

func (d *demo) compareTree(ctx context.Context, s *step, file, dst string) error {
	if err := d.extract(ctx, s, file, dst); err != nil {
		return fmt.Errorf("extract %s: %w", file, err)
	}
	got := dst
	if info := d.published.Torrent.Description; info.Kind != snapshot.KindTar {
		got = filepath.Join(dst, info.RawName)
	}
	n, err := compare(ctx, d.cfg.Snapshot, got)
	if err != nil {
		return err
	}
	s.result("%d files and folders are the same", n)
	return nil
}

func (d *demo) extract(ctx context.Context, s *step, file, dst string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info := d.published.Torrent.Description
	var progress latest
	s.watch(func(context.Context) string { return size(progress.get()) + " of " + size(info.RawSize) })
	return archive.Extract(ctx, f, d.published.Torrent.Length, dst, archive.ExtractOptions{
		RawSize: info.RawSize, RawSHA256: info.RawSHA256, RawName: info.RawName, Chunk: info.Codec.Chunk,
		Tar: info.Kind == snapshot.KindTar, Progress: progress.set,
	})
}
