//! Event-stream framing: an incremental decoder, an encoder that cannot inject, and the client's reconnection logic.
