// npm's `ws`, speaking push.v1: node ws.cjs MODULES URL TOPIC [POSITION]
// Prints one JSON object a line.
const { createRequire } = require("node:module");
const [modules, url, topic, after] = process.argv.slice(2);
const WebSocket = createRequire(modules)("ws");

const print = (object) => console.log(JSON.stringify(object));
const socket = new WebSocket(url, "push.v1");
socket.on("open", () => socket.send(JSON.stringify({ ref: 1, subscribe: { match: [topic], after } })));
socket.on("message", (bytes) => {
  const push = JSON.parse(bytes.toString());
  if (push.event) print({ ...push.event, event: "message" });
  else if (push.ref === 1 && push.result) print({ event: "open", id: push.result.at });
  else if (push.error) print({ event: "error", ...push.error });
  else if (push.gap) print({ event: "gap", ...push.gap });
  else if (push.end) print({ event: "end", ...push.end });
});
socket.on("close", (code, reason) => print({ event: "closed", code, reason: reason.toString() }));
socket.on("error", (e) => print({ event: "error", message: e.message }));
