// Node's own HTTP/2, with prior knowledge: node http2.cjs stream|socket|crowd URL TOPIC [POSITION]
// `stream` follows an event stream; `socket` a WebSocket with push.v1 by extended CONNECT (RFC 8441); `crowd` opens a
// hundred event streams on one connection with the largest windows there are, and then stops: nothing of it runs any more.
// Prints one JSON object a line.
const http2 = require("node:http2");
const [mode, url, topic, after] = process.argv.slice(2);

const print = (object) => process.stdout.write(JSON.stringify(object) + "\n");
const largest = 2 ** 31 - 1;
const settings = mode === "crowd" ? { initialWindowSize: largest } : {};
const session = http2.connect(url, { settings });
session.on("error", (e) => print({ event: "error", message: e.message }));
session.on("goaway", (code) => print({ event: "goaway", code }));
session.on("close", () => print({ event: "closed" }));

function follow(onState) {
  const headers = { ":path": `/topics/${topic}`, accept: "text/event-stream" };
  if (after) headers["last-event-id"] = after;
  const stream = session.request(headers);
  let text = "";
  stream.setEncoding("utf8");
  stream.on("response", (answer) => {
    if (answer[":status"] !== 200) print({ event: "refused", code: answer[":status"] });
  });
  stream.on("data", (piece) => {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const lines of blocks) {
      const fields = Object.fromEntries(lines.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (fields.data === undefined) continue;
      if (fields.event === "push.state") onState(fields);
      else if (fields.event?.startsWith("push.")) {
        print({ ...JSON.parse(fields.data), event: fields.event.slice("push.".length) });
      } else print({ event: "message", id: fields.id, data: fields.data });
    }
  });
  stream.on("end", () => print({ event: "end of stream" }));
}

function connect() {
  if (!session.remoteSettings.enableConnectProtocol) print({ event: "error", message: "no extended CONNECT" });
  const stream = session.request({
    ":method": "CONNECT", ":protocol": "websocket", ":path": "/topics",
    "sec-websocket-version": "13", "sec-websocket-protocol": "push.v1",
  });
  const send = (opcode, payload) => {
    const mask = Buffer.from([1, 2, 3, 4]);
    const head = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
    const masked = payload.map((byte, at) => byte ^ mask[at % 4]);
    stream.write(Buffer.concat([Buffer.from([0x80 | opcode, ...head]), mask, masked]));
  };
  stream.on("response", (answer) => {
    if (answer[":status"] !== 200) return print({ event: "refused", code: answer[":status"] });
    send(1, Buffer.from(JSON.stringify({ ref: 1, subscribe: { match: [topic], after } })));
  });
  let arrived = Buffer.alloc(0);
  stream.on("data", (piece) => {
    arrived = Buffer.concat([arrived, piece]);
    while (arrived.length >= 2) {
      const long = arrived[1] === 126;
      const start = long ? 4 : 2;
      if (arrived.length < start) return;
      const end = start + (long ? arrived.readUInt16BE(2) : arrived[1]);
      if (arrived.length < end) return;
      const payload = arrived.subarray(start, end);
      const opcode = arrived[0] & 15;
      arrived = arrived.subarray(end);
      if (opcode === 9) send(10, payload);
      else if (opcode === 8) {
        print({ event: "close", code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() });
        send(8, payload.subarray(0, 2));
        stream.end();
      } else if (opcode === 1) tell(JSON.parse(payload.toString()));
    }
  });
  stream.on("end", () => print({ event: "end of stream" }));
}

function tell(push) {
  if (push.event) print({ ...push.event, event: "message" });
  else if (push.ref === 1 && push.result) print({ event: "open", id: push.result.at });
  else if (push.error) print({ ...push.error, event: "error" });
  for (const name of ["gap", "end", "reconnect"]) {
    if (push[name]) print({ ...push[name], event: name });
  }
}

session.once("remoteSettings", () => {
  if (mode === "socket") return connect();
  if (mode === "stream") return follow((state) => print({ event: "open", id: state.id }));
  session.setLocalWindowSize(largest);
  let open = 0;
  for (let i = 0; i < 100; i++) {
    follow((state) => {
      open += 1;
      if (open < 100) return;
      process.stdout.write(JSON.stringify({ event: "open", id: state.id }) + "\n", () => {
        process.kill(process.pid, "SIGSTOP");
      });
    });
  }
});
