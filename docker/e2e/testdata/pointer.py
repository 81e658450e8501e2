"""Reads a BEP 44 item with libtorrent from a private DHT: pointer.py HOST PORT KEY-HEX SALT SECONDS.

Prints sequence number and signature, which libtorrent has verified, and a line with the value for people."""
import sys
import time

import libtorrent as lt
from session import in_dht

host, port, key, salt, seconds = sys.argv[1:]
session = in_dht(host, port)
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
