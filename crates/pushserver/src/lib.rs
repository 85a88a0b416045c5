//! The push server: HTTP, WebSocket and event streams over one log of topics.
