//! RFC 6455 and RFC 7692 without a socket: frames, messages, a connection state machine and the opening handshake.
