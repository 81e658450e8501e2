"""Downloads a torrent with libtorrent from one peer: download.py TORRENT-OR-MAGNET FOLDER HOST PORT SECONDS."""
import sys
import time

import libtorrent as lt

torrent, folder, host, port, seconds = sys.argv[1:]
session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True, "alert_mask": lt.alert.category_t.error_notification,
})
if torrent.startswith("magnet:"):
    params = lt.parse_magnet_uri(torrent)
    params.save_path = folder
    handle = session.add_torrent(params)
else:
    handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
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
