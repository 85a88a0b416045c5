"""Python's `websockets`, speaking push.v1: python websockets_client.py URL TOPIC [POSITION]

Prints one JSON object a line.
"""

import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def show(**fields):
    print(json.dumps(fields), flush=True)


def main(url, topic, after=None):
    with connect(url, subprotocols=["push.v1"], proxy=None) as socket:
        subscribe = {"match": [topic]}
        if after is not None:
            subscribe["after"] = after
        socket.send(json.dumps({"ref": 1, "subscribe": subscribe}))
        try:
            for text in socket:
                push = json.loads(text)
                if "event" in push:
                    show(**{**push["event"], "event": "message"})
                elif push.get("ref") == 1 and "result" in push:
                    show(event="open", id=push["result"]["at"])
                elif "error" in push:
                    show(**{**push["error"], "event": "error"})
                else:
                    for name in ("gap", "end"):
                        if name in push:
                            show(**{**push[name], "event": name})
        except ConnectionClosed as closed:
            frame = closed.rcvd
            show(event="closed", code=frame and frame.code, reason=frame and frame.reason)


main(*sys.argv[1:])
