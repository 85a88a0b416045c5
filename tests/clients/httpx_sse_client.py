"""Python's `httpx-sse`: python httpx_sse_client.py URL [POSITION]

Prints one JSON object a line.
"""

import json
import sys

import httpx
from httpx_sse import connect_sse


def show(**fields):
    print(json.dumps(fields), flush=True)


def main(url, after=None):
    headers = {"Last-Event-ID": after} if after is not None else {}
    with httpx.Client(timeout=60, trust_env=False) as client:
        with connect_sse(client, "GET", url, headers=headers) as source:
            if source.response.status_code != 200:
                show(event="closed", code=source.response.status_code)
                return
            for block in source.iter_sse():
                if block.event == "push.state":
                    show(event="open", id=block.id)
                elif block.event.startswith("push."):
                    show(**{**json.loads(block.data), "event": block.event.removeprefix("push.")})
                elif block.data or block.id != after:
                    show(event="message", type=block.event, id=block.id, data=block.data)
            show(event="closed", code=200)


main(*sys.argv[1:])
