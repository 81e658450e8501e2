"""Downloads a torrent from one peer with libtorrent and prints the seconds it took.

Usage: leech.py TORRENT DIR HOST PORT
"""
import sys
import time

import libtorrent as lt

torrent, directory, host, port = sys.argv[1:]
session = lt.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "allow_multiple_connections_per_ip": True,
})
info = lt.torrent_info(torrent)
start = time.monotonic()
handle = session.add_torrent({"ti": info, "save_path": directory})
handle.connect_peer((host, int(port)))
while not handle.status().is_seeding:
    time.sleep(0.005)
print(time.monotonic() - start)
