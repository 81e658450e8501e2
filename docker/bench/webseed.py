"""Fetches a torrent from its webseeds and from peers with libtorrent, prints "complete", and seeds until it is ended.

Usage: webseed.py TORRENT DIR PORT [HOST:PORT...]
"""
import sys
import time

import libtorrent as lt

torrent, directory, port = sys.argv[1:4]
peers = [p.rsplit(":", 1) for p in sys.argv[4:]]
session = lt.session({
    "listen_interfaces": "127.0.0.1:" + port,
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
params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd
handle = session.add_torrent(params)
announced = 0
while not handle.status().is_seeding:
    if time.monotonic() - announced > 1:
        announced = time.monotonic()
        for host, number in peers:
            handle.connect_peer((host, int(number)))
    time.sleep(0.01)
print("complete", flush=True)
while True:
    time.sleep(60)
