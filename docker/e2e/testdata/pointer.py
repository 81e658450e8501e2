"""Reads a BEP 44 item with libtorrent from a private DHT: pointer.py HOST PORT KEY-HEX SALT SECONDS.

Prints sequence number and signature, which libtorrent has verified, and a line with the value for people."""
import sys
import time

import libtorrent as lt

host, port, key, salt, seconds = sys.argv[1:]
session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": True, "dht_bootstrap_nodes": "%s:%s" % (host, port),
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False, "dht_ignore_dark_internet": False,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification,
})
session.add_dht_node((host, int(port)))
end = time.monotonic() + float(seconds)
asked = time.monotonic() - 1
while time.monotonic() < end:
    if time.monotonic() - asked > 2:  # the first one may come before the node has answered
        session.dht_get_mutable_item(bytes.fromhex(key), salt.encode())
        asked = time.monotonic()
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.dht_mutable_item_alert) and alert.authoritative and alert.seq > 0:
            print(alert.seq, bytes(alert.signature).hex())
            print(alert.message())  # Python's alert.item fails for anything but strings
            sys.exit(0)
sys.exit("no authoritative answer")
