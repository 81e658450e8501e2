// Package archive packs a snapshot into the file that users download, reads that file at any raw offset, and unpacks it.
//
// An archive is ordinary zstd: independent frames of a fixed raw size and a seek table, which `zstd -d` skips. A directory is
// a deterministic tar inside, which `tar` unpacks. FORMAT.md describes every byte and golden files freeze it.
//
// [Write] compresses on all cores in one pass and in bounded memory, and its bytes depend on nothing but the raw data, the
// chunk size, the level and the encoder: whoever has the same raw data makes the same archive, byte for byte. [Reader] and
// [Extract] trust no archive: a seek table is held against the signed raw size before anything is allocated for it, a frame
// before it is decoded, and nothing becomes visible before all of it was compared with the signed hash.
//
// # Chunk size and level
//
// Measured with klauspost/compress v1.20.3 on two cores of an AMD EPYC: archive size in percent of the raw data, and MB/s of
// raw data through the encoders. go: a tar of the Go sources, 137 MB. bin: a tar of the Go tools, 86 MB. chain: generated
// pages like those of a Nano node's LMDB, 268 MB.
//
//	level    chunk   go           bin          chain
//	fastest  4 MiB   23.1 %  651  39.7 %  515  61.0 %  779
//	default  1 MiB   22.4 %  473  38.2 %  338  60.2 %  360
//	default  2 MiB   21.8 %  384  38.1 %  358  59.9 %  405
//	default  4 MiB   21.4 %  532  38.0 %  382  59.7 %  449
//	default  8 MiB   21.2 %  538  37.7 %  392  59.6 %  465
//	better   1 MiB   21.4 %  343  37.6 %  238  60.1 %  184
//	better   2 MiB   20.7 %  352  37.4 %  226  59.4 %  160
//	better   4 MiB   20.0 %  344  37.1 %  224  58.5 %  207
//	better   8 MiB   19.7 %  300  34.9 %  207  57.5 %  227
//	zstd -T0 -3      21.0 %  490  37.4 %  300  59.5 %  400
//	zstd -T0 -7      18.8 %  170  35.0 %  125  58.3 %  173
//
// better is the default: a snapshot is packed once and downloaded by thousands, it saves 2 to 6 % of every download over
// default, its separate frames come out smaller than the single one of zstd -3, and at 200 MB/s on two cores it is faster
// than any uplink that follows. 4 MiB is the default chunk: 8 MiB would save 1.5 to 6 % more, but doubles what a reader
// decodes for the first byte of a range, and the memory per core on both sides.
//
// Decoding runs at 1.0 to 6 GB/s per core, SHA-256 at 1.8 GB/s; the sum over the raw data is therefore the ceiling of a
// pipeline on many cores. On two cores the whole of Write (reading, both sums, writing) took 1.16 times as long as the
// encoders alone at level better, 1.22 at default.
//
// # Times
//
// Of a tree's metadata an archive keeps names, contents, whether a file is executable, and times of modification in whole
// seconds. The times are kept because databases' own tools and later backups look at them; they make the archive of a copied
// tree differ from that of the original unless the copy kept them too (cp -p, rsync -t). Owners and further permissions say
// something about the publisher's machine alone and are not kept.
//
// # What is not noticed
//
// BUG: a source that is written through a memory map may change without its time of modification following at once. Packing
// a database that is in use needs a copy made by the database's own means.
package archive
