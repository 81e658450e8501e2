"""Seeds a torrent with libtorrent: libtorrent_seed.py TORRENT FOLDER HOST PORT DHT-HOST DHT-PORT SECONDS.

Prints "ready" when it seeds, and ends after SECONDS or when stdin is closed."""
import select
import sys
import time

import libtorrent as lt

torrent, folder, host, port, dht_host, dht_port, seconds = sys.argv[1:]
session = lt.session({
    "listen_interfaces": "%s:%s" % (host, port), "enable_dht": True, "dht_bootstrap_nodes": "%s:%s" % (dht_host, dht_port),
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "allow_multiple_connections_per_ip": True,
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False, "dht_ignore_dark_internet": False,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification,
})
session.add_dht_node((dht_host, int(dht_port)))
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder, "flags": lt.torrent_flags.seed_mode})
end = time.monotonic() + float(seconds)
ready = False
while time.monotonic() < end:
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        print(alert.message(), file=sys.stderr)
    if not ready and handle.status().is_seeding:
        ready = True
        print("ready", flush=True)
    if select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.buffer.read1(1):
        break
