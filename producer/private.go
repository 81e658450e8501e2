package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"snapswarm/common/daemon"
	"snapswarm/producer/publish"
)

// private lists what must not get into a snapshot: the files with secrets, and the folders that publishing writes to.
func private(channel ChannelConfig, bucket BucketConfig, dataDir string) []publish.Private {
	list := []publish.Private{{Name: "DATA_DIR", Path: dataDir}}
	if dir, ok := strings.CutPrefix(bucket.Bucket, "file://"); ok && filepath.IsAbs(dir) {
		list = append(list, publish.Private{Name: "BUCKET", Path: dir})
	}
	for _, s := range []struct {
		name   string
		secret daemon.Secret
	}{
		{"AUTHORITY_KEY_FILE", channel.AuthorityKey},
		{"S3_SECRET_ACCESS_KEY_FILE", bucket.S3SecretAccessKey},
		{"S3_SESSION_TOKEN_FILE", bucket.S3SessionToken},
	} {
		if path := s.secret.File(); path != "" {
			list = append(list, publish.Private{Name: s.name, Path: path})
		}
	}
	return list
}

// checkStream is publish.CheckPrivate for standard input.
func checkStream(in io.Reader, private []publish.Private) error {
	f, ok := in.(*os.File)
	if !ok {
		return nil
	}
	fi, err := f.Stat()
	if err != nil {
		return nil //nolint:nilerr // reading it will tell
	}
	return publish.CheckPrivateFile("standard input", fi, private)
}
