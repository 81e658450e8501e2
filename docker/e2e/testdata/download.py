"""Downloads with libtorrent: download.py TORRENT-OR-MAGNET FOLDER HOST PORT SECONDS. HOST is a peer that the torrent does not name, or none."""
import sys
import time

import libtorrent as lt
from session import alone

torrent, folder, host, port, seconds = sys.argv[1:]
session = alone()
params = lt.parse_magnet_uri(torrent) if torrent.startswith("magnet:") else lt.add_torrent_params()
if not torrent.startswith("magnet:"):
    params.ti = lt.torrent_info(torrent)
params.save_path = folder
handle = session.add_torrent(params)
if host != "none":
    handle.connect_peer((host, int(port)))
end = time.monotonic() + float(seconds)
while True:
    status = handle.status()
    if status.is_seeding:
        print(status.info_hashes.v1, status.total_payload_download, status.total_wanted)
        sys.exit(0)
    if time.monotonic() > end:
        for alert in session.pop_alerts():
            print(alert.message(), file=sys.stderr)
        sys.exit("%d of %d bytes, %d peers, %s" % (status.total_wanted_done, status.total_wanted, status.num_peers, status.state))
    time.sleep(0.05)
