"""Signs a BEP 44 item with libtorrent and puts it into a private DHT: put.py HOST PORT PRIVATE-HEX PUBLIC-HEX SALT VALUE-HEX SECONDS.

The private key is the expanded one of 64 bytes. libtorrent's Python only puts strings, so the value is the info-hash itself, not
BEP 46's dictionary."""
import sys
import time

import libtorrent as lt
from session import in_dht

host, port, private, public, salt, value, seconds = sys.argv[1:]
session = in_dht(host, port)
end = time.monotonic() + float(seconds)
asked = time.monotonic() - 1
while time.monotonic() < end:
    if time.monotonic() - asked > 2:  # the first one may come before the node has answered
        session.dht_put_mutable_item(bytes.fromhex(private), bytes.fromhex(public), bytes.fromhex(value), salt.encode())
        asked = time.monotonic()
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.dht_put_alert) and alert.num_success > 0:
            print(alert.message())
            sys.exit(0)
sys.exit("no node has stored it")
