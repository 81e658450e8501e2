"""Downloads a torrent from one peer with libtorrent; prints the seconds from adding it until all pieces are verified.

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
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = directory
params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
start = time.monotonic()
handle = session.add_torrent(params)
handle.connect_peer((host, int(port)))
while not handle.status().is_seeding:
    time.sleep(0.005)
print(time.monotonic() - start)
