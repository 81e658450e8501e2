package crash_test

import (
	"errors"
	"strings"
	"testing"

	"snapswarm/common/snapshot"
)

var (
	one = &archive{version: "20261120T060000Z", infoHash: snapshot.InfoHash{1}, raw: [32]byte{1}, content: []byte("the first snapshot")}
	two = &archive{version: "20261120T070000Z", infoHash: snapshot.InfoHash{2}, raw: [32]byte{2}, content: []byte("the second snapshot")}
)

// TestForgedObservations shows each violation to the model, after a past in which all was well.
func TestForgedObservations(t *testing.T) {
	for _, test := range []struct {
		name string
		see  func(h *history) error
		want string // part of the error; empty: none
	}{
		{"the same pointer again", func(h *history) error { return h.pointerSeen("bucket", 20, []byte("b")) }, ""},
		{"an older pointer where the newer was never seen", func(h *history) error { return h.pointerSeen("DHT node 1", 10, []byte("a")) }, ""},
		{"a pointer that goes back", func(h *history) error { return h.pointerSeen("bucket", 10, []byte("a")) }, "goes back"},
		{"a number that goes back", func(h *history) error { return h.pointerSeen("bucket", 19, nil) }, "goes back"},
		{"two values under one number", func(h *history) error { return h.pointerSeen("DHT node 1", 20, []byte("x")) }, "stands for"},
		{"the snapshot is still whole", func(h *history) error { return h.snapshotSeen(two, nil) }, ""},
		{"a snapshot that is not whole", func(h *history) error { return h.snapshotSeen(two, errors.New("no archive")) }, "no archive"},
		{"a snapshot of what never was", func(h *history) error { return h.snapshotSeen(&archive{raw: [32]byte{9}}, nil) }, "never was"},
		{"an older state of the source", func(h *history) error { return h.snapshotSeen(one, nil) }, "after state 2"},
		{"the right bytes", func(h *history) error { return h.bytesSeen("gateway", one, 4, []byte("first")) }, ""},
		{"a wrong byte", func(h *history) error { return h.bytesSeen("gateway", one, 4, []byte("firsT")) }, "wrong bytes"},
		{"a splice", func(h *history) error { return h.bytesSeen("gateway", one, 0, []byte("the second snapsho")) }, "wrong bytes"},
		{"bytes from the wrong place", func(h *history) error { return h.bytesSeen("gateway", one, 5, []byte("first")) }, "wrong bytes"},
		{"bytes behind the end", func(h *history) error { return h.bytesSeen("gateway", one, 13, []byte("shot..")) }, "which has 18"},
		{"a broken transfer", func(h *history) error { return h.transferEnded("gateway", one, 18, 7, true) }, ""},
		{"a whole transfer", func(h *history) error { return h.transferEnded("gateway", one, 18, 18, false) }, ""},
		{"a transfer that only looks whole", func(h *history) error { return h.transferEnded("gateway", one, 18, 7, false) }, "without an error"},
		{"one piece in two hundred again", func(h *history) error { return h.takes(199, 1) }, ""},
		{"three pieces in two hundred again", func(h *history) error { return h.takes(197, 3) }, "had before"},
		{"files as before", func(h *history) error { return h.filesSeen("mirror", shape{"V/file": 2}, 0) }, ""},
		{"fewer files", func(h *history) error { return h.filesSeen("mirror", shape{"V/file": 1}, 0) }, ""},
		{"a file more", func(h *history) error { return h.filesSeen("mirror", shape{"V/file": 3}, 0) }, "3 files such as V/file"},
		{"a file more, under way", func(h *history) error { return h.filesSeen("mirror", shape{"V/file": 3}, 1) }, ""},
		{"a temporary file", func(h *history) error { return h.filesSeen("mirror", shape{"V/file": 2, "V/.part": 1}, 0) }, "V/.part"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.see(past(t))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the model says %v, want %q", err, test.want)
			}
		})
	}
}

// past is a history in which two snapshots were published, and nothing was wrong.
func past(t *testing.T) *history {
	h := newHistory()
	h.sourceBecame(one.raw)
	h.sourceBecame(two.raw)
	h.undisturbed("mirror", shape{"V/file": 2})
	for _, err := range []error{
		h.pointerSeen("bucket", 10, []byte("a")), h.snapshotSeen(one, nil),
		h.pointerSeen("bucket", 20, []byte("b")), h.snapshotSeen(two, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// takes lets a mirror get some pieces for the first time and others again, after it had them and was killed.
func (h *history) takes(first, again int) error {
	for i := range first {
		h.pieceTaken("mirror", 1, one.infoHash, i, 1000)
		h.pieceHeld("mirror", 1, one.infoHash, i)
	}
	for i := range again {
		h.pieceTaken("mirror", 2, one.infoHash, i, 1000)
	}
	return h.economy("mirror")
}

func TestPiecesTakenTwiceWithoutAKillAreCountedApart(t *testing.T) {
	h := newHistory()
	h.pieceTaken("mirror", 1, one.infoHash, 0, 1000) // by a peer
	h.pieceHeld("mirror", 1, one.infoHash, 0)
	h.pieceTaken("mirror", 1, one.infoHash, 0, 1000) // by another, who had been asked, too
	h.pieceTaken("mirror", 2, one.infoHash, 1, 1000) // it had but a part of this one when it was killed
	h.pieceHeld("mirror", 2, one.infoHash, 0)        // said again after a restart
	h.pieceTaken("gateway", 2, one.infoHash, 0, 1000)
	h.pieceTaken("mirror", 2, two.infoHash, 0, 1000)
	if h.again["mirror"] != 0 || h.twice["mirror"] != 1000 || h.taken["mirror"] != 4000 {
		t.Errorf("again %d, twice %d of %d; want 0, 1000 of 4000", h.again["mirror"], h.twice["mirror"], h.taken["mirror"])
	}
	h.pieceTaken("mirror", 3, one.infoHash, 0, 1000)
	if h.again["mirror"] != 1000 || h.economy("mirror") == nil {
		t.Errorf("again %d, %v; want 1000, and that it is too much", h.again["mirror"], h.economy("mirror"))
	}
}
