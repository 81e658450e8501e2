package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// compare makes sure that two trees, or two files, are the same: the same names, kinds, contents and executable bits.
// It returns the number of entries.
func compare(ctx context.Context, want, got string) (int, error) {
	wanted, err := entries(ctx, want)
	if err != nil {
		return 0, err
	}
	found, err := entries(ctx, got)
	if err != nil {
		return 0, err
	}
	for name := range found {
		if _, ok := wanted[name]; !ok {
			return 0, fmt.Errorf("%s is in %s and not in %s", name, got, want)
		}
	}
	for name, info := range wanted {
		other, ok := found[name]
		if !ok {
			return 0, fmt.Errorf("%s is in %s and not in %s", name, want, got)
		}
		if err := same(filepath.Join(want, name), info, filepath.Join(got, name), other); err != nil {
			return 0, err
		}
	}
	return len(wanted), ctx.Err()
}

// entries lists a tree, by relative name; the top itself is ".".
func entries(ctx context.Context, top string) (map[string]fs.FileInfo, error) {
	all := map[string]fs.FileInfo{}
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		all[name], err = e.Info()
		return errors.Join(err, ctx.Err())
	})
	return all, err
}

const executable = 0o111

func same(want string, wantInfo fs.FileInfo, got string, gotInfo fs.FileInfo) error {
	if wantInfo.Mode().Type() != gotInfo.Mode().Type() {
		return fmt.Errorf("%s is %v, %s is %v", want, wantInfo.Mode(), got, gotInfo.Mode())
	}
	if !wantInfo.Mode().IsRegular() {
		return nil
	}
	if (wantInfo.Mode()&executable != 0) != (gotInfo.Mode()&executable != 0) {
		return fmt.Errorf("%s is %v, %s is %v", want, wantInfo.Mode(), got, gotInfo.Mode())
	}
	if wantInfo.Size() != gotInfo.Size() {
		return fmt.Errorf("%s has %d bytes, %s has %d", want, wantInfo.Size(), got, gotInfo.Size())
	}
	return sameBytes(want, got)
}

func sameBytes(want, got string) error {
	one, err := os.Open(want)
	if err != nil {
		return err
	}
	defer one.Close()
	two, err := os.Open(got)
	if err != nil {
		return err
	}
	defer two.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err1 := io.ReadFull(one, a)
		m, err2 := io.ReadFull(two, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("%s and %s differ", want, got)
		}
		if n < len(a) {
			return errors.Join(unlessEnd(err1), unlessEnd(err2))
		}
	}
}

// unlessEnd forgets that a file is at its end.
func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// latest is a number that one goroutine sets and another one shows.
type latest struct{ n atomic.Int64 }

func (l *latest) set(n int64) { l.n.Store(n) }
func (l *latest) get() int64  { return l.n.Load() }
