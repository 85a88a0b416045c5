// A broadcast server on uWebSockets: its own topic tree does the work.
#include <App.h>
#include <cstdlib>
#include <string>
#include <string_view>

struct Connection {
    std::string topic;
    bool publishes;
};

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    uWS::App app;
    uWS::App::WebSocketBehavior<Connection> behavior;
    behavior.maxPayloadLength = 64 * 1024;
    behavior.idleTimeout = 0;
    behavior.maxBackpressure = 1024 * 1024;
    behavior.upgrade = [](auto *response, auto *request, auto *context) {
        std::string_view url = request->getUrl();
        Connection connection{std::string(url.substr(0, 4) == "/ws/" ? url.substr(4) : ""), url == "/publish"};
        response->template upgrade<Connection>(std::move(connection), request->getHeader("sec-websocket-key"),
                                               request->getHeader("sec-websocket-protocol"),
                                               request->getHeader("sec-websocket-extensions"), context);
    };
    behavior.open = [](auto *socket) {
        if (!socket->getUserData()->publishes) socket->subscribe(socket->getUserData()->topic);
    };
    behavior.message = [&app](auto *socket, std::string_view message, uWS::OpCode) {
        size_t space = message.find(' ');
        if (!socket->getUserData()->publishes || space == std::string_view::npos) return;
        app.publish(message.substr(0, space), message.substr(space + 1), uWS::OpCode::TEXT);
    };
    app.ws<Connection>("/*", std::move(behavior));
    app.listen(argv[1], std::atoi(argv[2]), [](auto *socket) {
        if (!socket) std::exit(1);
    });
    app.run();
}
