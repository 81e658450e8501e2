package swarm

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// What the loop does while the disk cannot be written.

// pause stops fetching because the disk cannot be written.
func (l *loop) pause() {
	err := l.s.disk.failed()
	if err == nil {
		return
	}
	if l.wellAt = (time.Time{}); !l.pausing {
		l.pausing = true
		l.s.client.log.Error("fetching pauses", "file", l.s.file.path, "missing", l.s.missing(), "error", err)
	}
	l.s.handle.DisallowDataDownload()
	for i := range l.waiters {
		l.answer(i, err)
	}
	l.probeAt = time.Now().Add(l.tuning.diskRetry)
}

// tryDisk looks from time to time whether the disk can be written again.
func (l *loop) tryDisk(now time.Time) {
	if l.probing || now.Before(l.probeAt) {
		return
	}
	l.probing = true
	l.s.wg.Go(func() {
		err := l.probe()
		l.post(func() { l.probed(err) })
	})
}

func (l *loop) probed(err error) {
	l.probing = false
	if err != nil {
		l.probeAt = time.Now().Add(l.tuning.diskRetry)
		return
	}
	l.wellAt = time.Now().Add(2 * l.tuning.diskRetry)
	l.s.disk.resume()
	l.s.handle.AllowDataDownload()
	l.decide(time.Now())
}

// well says that fetching goes on, once that has lasted: space that is gone with the next write is no news, and would be one at every
// retry.
func (l *loop) well(now time.Time) {
	if l.pausing && !l.wellAt.IsZero() && now.After(l.wellAt) {
		l.pausing = false
		l.s.client.log.Info("fetching goes on: the disk can be written again", "file", l.s.file.path)
	}
}

// probe writes and deletes a file that takes as much as a piece does: with less room, the next piece would fail again.
func (l *loop) probe() error {
	path := filepath.Join(filepath.Dir(l.s.file.path), "."+l.s.torrent.InfoHash.String()+".probe")
	f, err := l.tuning.open(path)
	if err != nil {
		return err
	}
	buffer, _ := l.buffers.Get().(*[]byte)
	defer l.buffers.Put(buffer)
	if _, err = f.WriteAt(*buffer, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}
