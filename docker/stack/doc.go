// Package stack runs a whole swarm on this machine's loopback: S3 object storage and a small DHT inside this process,
// and the real binaries producer, mirror and gateway as processes of their own, configured by their environment as an
// operator would do it. The demo shows it to people, the end-to-end tests break it.
//
// Everything lies below one folder: the storage in s3/, the DHT's state in dht/, the channel's key in channel.key, the
// data of each process in a folder of its name, and its log in <name>.log.
//
// The embedded storage allows one Stack per process at a time, and has the working directory changed while it runs (see
// package s3test); relative paths given to a Stack mean the directory before.
package stack
