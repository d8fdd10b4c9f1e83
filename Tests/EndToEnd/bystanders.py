"""Two clients that ask 20 times a second and note how long they wait, until their input ends: `bystanders.py PORT AUTHORITY`.

One keeps its connection, one comes anew with a handshake each time. Each request is due at its time whether or not the one
before it is done, and its wait counts from when it was due: who is stuck does not hide how long.
"""
import json
import ssl
import sys
import threading
import time

from client import Client, request

EVERY = 0.05


def visit(port, context, over, waits, failed, kept):
    client, due = None, time.monotonic()
    while not over.is_set():
        due += EVERY
        if over.wait(max(0, due - time.monotonic())):
            break
        try:
            client = client or Client(port, tls=context, server_name="shop.test")
            status = client.ask(request("/small")).status
            waits.append(time.monotonic() - due)
            if status != 200:
                failed.append(status)
            if not kept:
                client.close()
                client = None
        except Exception as error:  # whatever it is: a client that was not served
            failed.append(repr(error))
            client = None


def main(port, authority):
    context = ssl.create_default_context(cafile=authority)
    over, failed, waits = threading.Event(), [], {"kept": [], "new": []}
    threads = [threading.Thread(target=visit, args=(int(port), context, over, waits[kind], failed, kind == "kept")) for kind in waits]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps({kind: sorted(times) for kind, times in waits.items()} | {"failed": failed}))


main(*sys.argv[1:])
