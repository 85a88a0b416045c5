// npm's `eventsource`: node eventsource.cjs MODULES URL
// Prints one JSON object a line. The URL carries the position to start from, as a browser's would.
const { createRequire } = require("node:module");
const [modules, url] = process.argv.slice(2);
const { EventSource } = createRequire(modules)("eventsource");

const print = (object) => console.log(JSON.stringify(object));
const message = (e) => print({ event: "message", type: e.type, id: e.lastEventId, data: e.data });
const source = new EventSource(url);
source.onmessage = message;
source.addEventListener("price", message);
source.addEventListener("push.state", (e) => print({ event: "open", id: e.lastEventId }));
source.addEventListener("push.gap", (e) => print({ event: "gap", ...JSON.parse(e.data) }));
source.addEventListener("push.end", (e) => print({ event: "end", ...JSON.parse(e.data) }));
source.onerror = (e) => {
  const closed = source.readyState === EventSource.CLOSED;
  print({ event: closed ? "closed" : "reconnecting", code: e.code });
  if (closed) source.close();
};
