// A broadcast server on Socket.IO: a room a topic.
const { createServer } = require("http");
const { Server } = require("socket.io");

const [host, port] = process.argv.slice(2);
const http = createServer();
// Its own pings would fall into some slices and not into others.
const io = new Server(http, { transports: ["websocket"], pingInterval: 3_600_000, pingTimeout: 3_600_000 });

io.on("connection", (socket) => {
  const topic = socket.handshake.query.topic;
  if (topic) socket.join(topic);
  socket.on("publish", (to, data) => io.to(to).emit("event", data));
});
http.listen({ host, port: Number(port), backlog: 4096 });
