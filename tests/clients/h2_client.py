"""Python's `h2`, with prior knowledge: python h2_client.py stream|socket URL TOPIC [POSITION]

`stream` follows an event stream; `socket` a WebSocket with push.v1 by extended CONNECT (RFC 8441).
Prints one JSON object a line.
"""

import json
import socket
import sys
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded
from h2.settings import SettingCodes


def show(**fields):
    print(json.dumps(fields), flush=True)


class Stream:
    """An event stream: blocks of lines."""

    def __init__(self, after):
        self.after, self.text = after, b""

    def headers(self, topic):
        headers = [(":method", "GET"), (":path", f"/topics/{topic}"), ("accept", "text/event-stream")]
        return headers + ([("last-event-id", self.after)] if self.after else [])

    def opening(self, topic):
        return b""

    def take(self, data):
        *blocks, self.text = (self.text + data).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            kind = fields.get("event", "")
            if "data" not in fields:
                continue
            if kind == "push.state":
                show(event="open", id=fields["id"])
            elif kind.startswith("push."):
                show(**{**json.loads(fields["data"]), "event": kind.removeprefix("push.")})
            else:
                show(event="message", id=fields["id"], data=fields["data"])
        return b""


class Socket:
    """A WebSocket that speaks push.v1."""

    def __init__(self, after):
        self.after, self.arrived = after, b""

    def headers(self, topic):
        return [
            (":method", "CONNECT"), (":protocol", "websocket"), (":path", "/topics"),
            ("sec-websocket-version", "13"), ("sec-websocket-protocol", "push.v1"),
        ]

    def opening(self, topic):
        subscribe = {"match": [topic]} | ({"after": self.after} if self.after else {})
        return frame(1, json.dumps({"ref": 1, "subscribe": subscribe}).encode())

    def take(self, data):
        self.arrived += data
        answers = b""
        while len(self.arrived) >= 2:
            start, length = (4, int.from_bytes(self.arrived[2:4])) if self.arrived[1] == 126 else (2, self.arrived[1])
            if len(self.arrived) < start + length:
                break
            opcode, payload = self.arrived[0] & 15, self.arrived[start : start + length]
            self.arrived = self.arrived[start + length :]
            if opcode == 9:
                answers += frame(10, payload)
            elif opcode == 8:
                show(event="close", code=int.from_bytes(payload[:2]), reason=payload[2:].decode())
                answers += frame(8, payload[:2])
            elif opcode == 1:
                tell(json.loads(payload))
        return answers


def frame(opcode, payload):
    """A frame under a mask of zeros, which changes nothing."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def tell(push):
    if "event" in push:
        show(**{**push["event"], "event": "message"})
    elif push.get("ref") == 1 and "result" in push:
        show(event="open", id=push["result"]["at"])
    for name in ("error", "gap", "end", "reconnect"):
        if name in push:
            show(**{**push[name], "event": name})


def main(mode, url, topic, after=None):
    address = urlsplit(url)
    door = (Stream if mode == "stream" else Socket)(after)
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    wire = socket.create_connection((address.hostname, address.port))
    connection.initiate_connection()
    wire.sendall(connection.data_to_send())
    stream = None
    while data := wire.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, RemoteSettingsChanged) and stream is None:
                if mode == "socket" and not connection.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL):
                    show(event="error", message="no extended CONNECT")
                stream = connection.get_next_available_stream_id()
                rest = [(":scheme", "http"), (":authority", address.netloc)]
                wanted = door.headers(topic)
                pseudo = [field for field in wanted if field[0].startswith(":")]
                plain = [field for field in wanted if not field[0].startswith(":")]
                connection.send_headers(stream, pseudo + rest + plain, end_stream=mode == "stream")
            elif isinstance(event, ResponseReceived):
                status = dict(event.headers)[":status"]
                if status != "200":
                    show(event="refused", code=int(status))
                elif opening := door.opening(topic):
                    connection.send_data(stream, opening)
            elif isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if answers := door.take(event.data):
                    connection.send_data(stream, answers)
            elif isinstance(event, StreamEnded):
                show(event="end of stream")
            elif isinstance(event, ConnectionTerminated):
                show(event="goaway", code=int(event.error_code))
        wire.sendall(connection.data_to_send())
    show(event="closed")


try:
    main(*sys.argv[1:])
except ConnectionError:
    # A server that has said goodbye may close before it has read our last words.
    show(event="closed")
