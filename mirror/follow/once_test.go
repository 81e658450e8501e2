package follow_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/mirror/follow"
)

// once runs Once while feed, if not nil, delivers data.
func once(t *testing.T, peer *fakePeer, feed func(*fakeCopy), change ...func(*follow.Config)) (follow.Result, error) {
	t.Helper()
	return onceUntil(t.Context(), t, peer, feed, change...)
}

func onceUntil(ctx context.Context, t *testing.T, peer *fakePeer, feed func(*fakeCopy), change ...func(*follow.Config)) (follow.Result, error) {
	t.Helper()
	cfg, _ := config(t, peer)
	defer cfg.Progress.Close()
	for _, f := range change {
		f(&cfg)
	}
	var ch snapshot.Channel
	for ch = range peer.publishers {
	}
	type outcome struct {
		result follow.Result
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := follow.Once(ctx, cfg, ch)
		ended <- outcome{r, err}
	}()
	pass(time.Second)
	if versions := peer.versions(); feed != nil && len(versions) > 0 {
		feed(peer.copyOf(t, versions[len(versions)-1]))
	}
	out := <-ended
	return out.result, follow.WithExitCode(out.err)
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		got, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) })
		if err != nil {
			t.Fatal(err)
		}
		if got.Path() != peer.copyOf(t, peer.versions()[0]).Path() || got.Channel != pub.channel || got.Extracted != "" {
			t.Errorf("Once = %+v, want the archive", got)
		}

		// Again: nothing is hashed, so that also what changed without a trace is not noticed.
		info := must(os.Stat(got.Archive))
		if err := errors.Join(os.WriteFile(got.Archive, make([]byte, info.Size()), 0o644), os.Chtimes(got.Archive, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
		if _, err := once(t, peer, nil); err != nil {
			t.Errorf("a second run = %v, want nil at once", err)
		}
	})
}

func TestOnceUnpacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		unpack := func(c *follow.Config) { c.Extract = true }
		got, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }, unpack)
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, got.Path(), "one")
		if again, err := once(t, peer, nil, unpack); err != nil || again != got {
			t.Errorf("a second run = %+v, %v, want the same", again, err)
		}
	})
}

func TestOnceUnpacksATree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		tree := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(tree, "blocks"), 0o755), os.WriteFile(filepath.Join(tree, "blocks", "0"), []byte("one"), 0o644)); err != nil {
			t.Fatal(err)
		}
		peer.announce(pub.sign(t, pub.pack(t, must(archive.DirSource(t.Context(), tree)), snapshot.KindTar)))
		got, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }, func(c *follow.Config) { c.Extract = true })
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, filepath.Join(got.Path(), "blocks", "0"), "one")
	})
}

func TestADamagedSealOnlyCostsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		got, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) })
		if err != nil {
			t.Fatal(err)
		}
		seal := filepath.Join(peer.dir, "daily", ".verified", peer.versions()[0].String())
		for _, content := range []string{"", "{", `{"size":1,"modified":2}`, strings.Repeat(" ", 4096)} {
			if err := os.WriteFile(seal, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			if again, err := once(t, peer, nil); err != nil || again != got {
				t.Errorf("with the seal %.20q: %+v, %v, want the same as before", content, again, err)
			}
			if b := must(os.ReadFile(seal)); string(b) == content {
				t.Errorf("the seal %.20q was taken for a good one", content)
			}
		}
	})
}

func TestOnceGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := onceUntil(ctx, t, peer, func(c *fakeCopy) {
			c.deliver(t, 50)
			cancel(daemon.Interrupt{Signal: "SIGINT"})
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted: %v, want the cause of the context", err)
		}
		if _, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }); err != nil {
			t.Errorf("second run = %v", err)
		}
		if len(peer.versions()) != 1 {
			t.Error("the second run did not use what the first left")
		}
	})
}

func TestOnceTakesTheNewestAndTidies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		for _, raw := range []string{"one", "two", "three"} {
			peer.announce(pub.publish(t, raw))
			if _, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }); err != nil {
				t.Fatal(err)
			}
			pass(time.Hour)
		}
		if n := len(peer.versions()); n != 2 {
			t.Errorf("%d versions remain, want the newest and one more", n)
		}
	})
}

func TestOnceMendsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		_, err := once(t, peer, func(c *fakeCopy) {
			peer.set(func() { c.bad = 2 })
			content := c.content
			c.content = make([]byte, len(content))
			c.deliver(t, 100)
			pass(time.Second)
			c.content = content
			c.deliver(t, 100)
		})
		if err != nil {
			t.Errorf("Once = %v, want nil after the damaged pieces came again", err)
		}
	})
}

// rot changes the archive on disk and leaves no trace but that Check finds a damaged piece.
func rot(t *testing.T, c *fakeCopy) {
	t.Helper()
	info := must(os.Stat(c.path))
	if err := errors.Join(os.WriteFile(c.path, make([]byte, info.Size()), 0o644), os.Chtimes(c.path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	c.peer.set(func() { c.bad = 1 })
}

func TestOnceMendsASealedArchiveThatCannotBeUnpacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		if _, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }); err != nil {
			t.Fatal(err)
		}
		rot(t, peer.copyOf(t, peer.versions()[0]))
		got, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }, func(c *follow.Config) { c.Extract = true })
		if err != nil {
			t.Fatalf("Once = %v, want nil after the damaged pieces came again", err)
		}
		wantFile(t, got.Path(), "one")
	})
}

// scene is what a row of the table below plays in.
type scene struct {
	*testing.T
	pub  *publisher
	peer *fakePeer
}

func announced(s scene) { s.peer.announce(s.pub.publish(s.T, "one")) }

// lying announces a version whose description was changed.
func lying(change func(*snapshot.Description)) func(scene) {
	return func(s scene) { s.peer.announce(s.pub.publish(s.T, "one", change)) }
}

// remembered is a pointer that was found yesterday and by nobody today.
func remembered(s scene) {
	s.peer.accepted[s.pub.channel], s.peer.failure = s.pub.publish(s.T, "one"), pointer.ErrNotFound
}

func after(d time.Duration, setup func(scene)) func(scene) {
	return func(s scene) {
		setup(s)
		pass(d)
	}
}

func percentComes(percent int64) func(scene, *fakeCopy) {
	return func(s scene, c *fakeCopy) { c.deliver(s.T, percent) }
}

func TestOnceSaysWhatWentWrong(t *testing.T) {
	unpack := func(c *follow.Config) { c.Extract = true }
	for _, tt := range []struct {
		name   string
		setup  func(scene)
		feed   func(scene, *fakeCopy)
		config func(*follow.Config)
		code   daemon.Exit
		words  []string
	}{
		{name: "no pointer", code: daemon.ExitNoPointer, words: []string{"no pointer found", "CHANNEL"}},
		{name: "no pointer today", setup: remembered, code: daemon.ExitNoPointer, words: []string{"--allow-stale"}},
		{
			name:  "no pointer today, but an old one will do: it goes on to the data, which does not come",
			setup: remembered, config: func(c *follow.Config) { c.AllowStale = true }, code: daemon.ExitNoData,
		},
		{
			name:  "every pointer refused",
			setup: func(s scene) { s.peer.failure = errors.Join(pointer.ErrAllRefused, pointer.ErrSignature) },
			code:  daemon.ExitRefused, words: []string{"wrong signature"},
		},
		{
			name: "expired", setup: after(15*24*time.Hour, announced),
			code: daemon.ExitStale, words: []string{"expired", "--allow-stale"},
		},
		{
			name: "too old", setup: after(25*time.Hour, announced), config: func(c *follow.Config) { c.MaxAge = 24 * time.Hour },
			code: daemon.ExitStale, words: []string{"25h0m0s ago", "MAX_AGE 24h0m0s"},
		},
		{
			name: "nobody has the torrent",
			setup: func(s scene) {
				announced(s)
				s.peer.openErr = errors.Join(errors.New("http://127.0.0.1/torrents: 404"), errors.New("metadata from 0 peers"))
			},
			code: daemon.ExitNoData, words: []string{"404; metadata from 0 peers", "SEED_PEERS"},
		},
		{
			name: "nobody has the data", setup: announced,
			feed: func(s scene, c *fakeCopy) {
				s.peer.set(func() { c.origins = map[string]error{"http://127.0.0.1/x": errors.New("status 404")} })
			},
			code: daemon.ExitNoData, words: []string{"nothing of", "http://127.0.0.1/x: status 404", "3 peers connected, 0 of them complete"},
		},
		{
			name: "data stops coming", setup: announced, feed: percentComes(60),
			code: daemon.ExitStalled, words: []string{"nothing new for 5m", "what is here stays"},
		},
		{
			name: "disk too small", setup: announced,
			config: func(c *follow.Config) { *c = c.WithFree(func() int64 { return 1 << 20 }) },
			code:   daemon.ExitDisk, words: []string{"needs 41 B", "only 1.0 MiB are free", "free "},
		},
		{
			name: "disk full on the way", setup: announced,
			feed: func(s scene, c *fakeCopy) { s.peer.set(func() { c.disk = errors.New("no space left on device") }) },
			code: daemon.ExitDisk, words: []string{"no space left on device"},
		},
		{
			name: "not what was signed", setup: lying(func(d *snapshot.Description) { d.SHA256[3]++ }), feed: percentComes(100),
			code: daemon.ExitVerification, words: []string{"SHA-256", "the publisher signed"},
		},
		{
			name: "content longer than signed", setup: lying(func(d *snapshot.Description) { d.RawSize-- }), feed: percentComes(100),
			config: unpack, code: daemon.ExitVerification, words: []string{"longer than signed"},
		},
		{
			name: "content is something else", setup: lying(func(d *snapshot.Description) { d.RawSHA256[0]++ }), feed: percentComes(100),
			config: unpack, code: daemon.ExitVerification, words: []string{"raw SHA-256", "hashed again", "publisher"},
		},
		{
			name:  "nothing to unpack",
			setup: lying(func(d *snapshot.Description) { d.Codec = snapshot.Codec{Format: snapshot.FormatNone} }),
			feed:  percentComes(100), config: unpack, code: daemon.ExitOther, words: []string{"use", "as it is"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pub := newPublisher(t, "daily")
				s := scene{t, pub, newFakePeer(t, pub)}
				if tt.setup != nil {
					tt.setup(s)
				}
				feed := func(c *fakeCopy) {
					if tt.feed != nil {
						tt.feed(s, c)
					}
				}
				change := tt.config
				if change == nil {
					change = func(*follow.Config) {}
				}
				_, err := once(t, s.peer, feed, change)
				if got := daemon.ExitOf(err); got != tt.code {
					t.Errorf("exit code %d (%v), want %d", got, err, tt.code)
				}
				for _, w := range tt.words {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("error %q does not say %q", err, w)
					}
				}
				if left, err := filepath.Glob(filepath.Join(s.peer.dir, "daily", "extracted", "*")); err != nil || len(left) != 0 {
					t.Errorf("%q is left of what was to be unpacked, %v", left, err)
				}
			})
		})
	}
}
