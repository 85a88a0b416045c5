//! ws-codec beside other people's WebSockets.
