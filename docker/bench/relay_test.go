package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRelayCountsWhatIsSent(t *testing.T) {
	got := make(chan int64, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got <- n
		_, _ = w.Write(make([]byte, 100_000))
	}))
	defer server.Close()
	r, err := startRelay(t.Context(), server.URL, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	const size = 3 << 20
	for range 2 {
		answer, err := http.Post(r.url(), "", bytes.NewReader(make([]byte, size))) //nolint:noctx // ends with the test
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if n != 100_000 || err != nil || <-got != size {
			t.Errorf("answer of %d bytes, %v", n, err)
		}
	}
	if sent := r.sent.Load(); sent < 2*size || sent > 2*size+2<<10 {
		t.Errorf("%d bytes counted, want %d and a little", sent, 2*size)
	}
}
