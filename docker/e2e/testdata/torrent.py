"""Makes the torrent of a file with libtorrent: torrent.py FILE PIECE-LENGTH v1|hybrid|v2 OUT.

Prints the v1 and the v2 info-hash; the one that there is not is all zeros."""
import os
import sys

import libtorrent as lt

path, piece_length, kind, out = sys.argv[1:]
storage = lt.file_storage()
lt.add_files(storage, path)
flags = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}[kind]
torrent = lt.create_torrent(storage, int(piece_length), flags)
lt.set_piece_hashes(torrent, os.path.dirname(path))
encoded = lt.bencode(torrent.generate())
with open(out, "wb") as f:
    f.write(encoded)
hashes = lt.torrent_info(lt.bdecode(encoded)).info_hashes()
print(hashes.v1, hashes.v2)
