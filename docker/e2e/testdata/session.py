"""libtorrent sessions that keep to one address and find nobody by themselves."""
import libtorrent as lt

ALONE = {
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True, "alert_mask": lt.alert.category_t.error_notification,
}

# A DHT of a few nodes on one address is what libtorrent takes for an attack.
PRIVATE_DHT = {
    **ALONE, "enable_dht": True,
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False, "dht_ignore_dark_internet": False,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification,
}


def alone(address="127.0.0.1:0"):
    return lt.session({**ALONE, "listen_interfaces": address})


def in_dht(host, port):
    session = lt.session({**PRIVATE_DHT, "listen_interfaces": "127.0.0.1:0", "dht_bootstrap_nodes": "%s:%s" % (host, port)})
    session.add_dht_node((host, int(port)))
    return session
