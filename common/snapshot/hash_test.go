package snapshot_test

import (
	"bytes"
	"crypto/sha1"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"snapswarm/common/snapshot"
)

func TestStreamAndFileGiveTheSamePieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 999, 1000, 1001, 54_321} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		hasher := snapshot.NewPieceHasher(1000)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(3000))
			_, _ = hasher.Write(rest[:n])
			rest = rest[n:]
		}
		streamed, written := hasher.Sum()
		if written != int64(size) {
			t.Errorf("%d bytes written, want %d", written, size)
		}
		fromFile, err := snapshot.HashPieces(t.Context(), bytes.NewReader(data), int64(size), 1000)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for begin := 0; begin < size; begin += 1000 {
			sum := sha1.Sum(data[begin:min(begin+1000, size)])
			want = append(want, sum[:]...)
		}
		if !bytes.Equal(streamed, want) || !bytes.Equal(fromFile, want) {
			t.Errorf("%d bytes: stream %x, file %x, want %x", size, streamed, fromFile, want)
		}
	}
}

func TestHashPiecesFailsOnAShortFile(t *testing.T) {
	_, err := snapshot.HashPieces(t.Context(), strings.NewReader("short"), 10, 4)
	if err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
		t.Errorf("HashPieces of a short file = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestPieceLength(t *testing.T) {
	for size, want := range map[int64]int64{
		-1:        4 << 20,
		0:         256 << 10,
		4 << 30:   256 << 10,
		4<<30 + 1: 512 << 10,
		100 << 30: 8 << 20,
		512 << 30: 32 << 20,
		4 << 40:   32 << 20,
	} {
		if got := snapshot.PieceLengthFor(size); got != want {
			t.Errorf("PieceLengthFor(%d) = %d, want %d", size, got, want)
		}
	}
}

func BenchmarkHashPieces(b *testing.B) {
	data := make([]byte, 256<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := snapshot.HashPieces(b.Context(), bytes.NewReader(data), int64(len(data)), 4<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHashHybrid(b *testing.B) {
	data := make([]byte, 256<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := snapshot.HashHybrid(b.Context(), bytes.NewReader(data), int64(len(data)), 4<<20); err != nil {
			b.Fatal(err)
		}
	}
}
