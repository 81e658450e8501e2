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
	l.s.client.log.Error("fetching pauses", "file", l.s.file.path, "error", err)
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
	l.s.client.log.Info("fetching goes on: the disk can be written again", "file", l.s.file.path)
	l.s.disk.resume()
	l.s.handle.AllowDataDownload()
	l.decide(time.Now())
}

// probe writes and deletes a small file.
func (l *loop) probe() error {
	path := filepath.Join(filepath.Dir(l.s.file.path), "."+l.s.torrent.InfoHash.String()+".probe")
	f, err := l.tuning.open(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, min(1<<20, l.s.torrent.PieceLength)), 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}
