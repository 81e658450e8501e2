package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"
)

const (
	tarBlock   = 512
	tarTrailer = 2 * tarBlock // two zero blocks end a tar
)

// tarHeader is the header of an entry as FORMAT.md describes it: USTAR where it suffices, otherwise a PAX record before it.
func tarHeader(e treeEntry) ([]byte, error) {
	h := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     e.path,
		Size:     e.size,
		Mode:     int64(fileMode(e.exec)),
		ModTime:  time.Unix(floorSeconds(e.mtime), 0).UTC(),
		Format:   tar.FormatUSTAR,
	}
	if e.dir {
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, e.path+"/", 0o755
	}
	var b bytes.Buffer
	if tar.NewWriter(&b).WriteHeader(h) == nil {
		return b.Bytes(), nil
	}
	b.Reset()
	h.Format = tar.FormatPAX
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, fmt.Errorf("write tar header: %w", err)
	}
	return b.Bytes(), nil
}

func tarPadding(size int64) int64 { return -size & (tarBlock - 1) }

func floorSeconds(nanos int64) int64 {
	s := nanos / int64(time.Second)
	if nanos%int64(time.Second) < 0 {
		s--
	}
	return s
}

// fileMode is the only thing that is kept of a file's permissions.
func fileMode(exec bool) uint32 {
	if exec {
		return 0o755
	}
	return 0o644
}
