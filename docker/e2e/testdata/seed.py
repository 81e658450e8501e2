"""Seeds what lies in a folder with libtorrent, until it is ended: seed.py TORRENT FOLDER HOST:PORT."""
import sys
import time

import libtorrent as lt
from session import alone

torrent, folder, address = sys.argv[1:]
session = alone(address)
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
while not handle.status().is_seeding:
    time.sleep(0.05)
print("seeding", flush=True)
while True:
    time.sleep(60)
