package publish_test

import (
	"bytes"
	"log/slog"
	"testing"

	"snapswarm/producer/publish"
)

func TestADHTThatIsNotWantedIsNotMissed(t *testing.T) {
	b := newBench(t)
	var log bytes.Buffer
	b.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	b.net.err = publish.ErrNoDHT
	if rep := b.mustPublish(); rep.DHT != nil || rep.DHTError != "" {
		t.Errorf("reports of the DHT: %+v, %q", rep.DHT, rep.DHTError)
	}
	p := b.open()
	if _, err := p.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("warned: %s", log.String())
	}
}
