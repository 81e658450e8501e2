package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// filler overwrites a block with test data.
type filler func(block []byte)

// noise is what nobody can compress, such as a compressed file. Two calls give the same sequence of blocks.
func noise() filler {
	source := rand.NewChaCha8([32]byte{1})
	return func(block []byte) { _, _ = source.Read(block) } // never fails
}

// writeData writes size bytes of test data to path and returns their SHA-256 in hex.
func writeData(ctx context.Context, path string, size int64, fill filler) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	w := bufio.NewWriterSize(f, 1<<20)
	block := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(block)) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		fill(block)
		part := block[:min(left, int64(len(block)))]
		_, _ = hash.Write(part) // never fails
		if _, err := w.Write(part); err != nil {
			return "", err
		}
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), f.Close()
}

// checkData compares the file at path with what writeData returned.
func checkData(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, its source %s", path, got, want)
	}
	return nil
}
