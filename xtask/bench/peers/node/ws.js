// A broadcast server on `ws`, as its documentation writes one: a set of sockets a topic, send() to each.
const { WebSocketServer } = require("ws");

const [host, port] = process.argv.slice(2);
const topics = new Map();
const server = new WebSocketServer({ host, port: Number(port), backlog: 4096, perMessageDeflate: false });

server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url === "/publish") {
    socket.on("message", (message) => {
      const text = message.toString();
      const space = text.indexOf(" ");
      const data = text.slice(space + 1);
      for (const subscriber of topics.get(text.slice(0, space)) ?? []) subscriber.send(data);
    });
    return;
  }
  const topic = request.url.slice("/ws/".length);
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(socket);
  socket.on("close", () => topics.get(topic).delete(socket));
});
