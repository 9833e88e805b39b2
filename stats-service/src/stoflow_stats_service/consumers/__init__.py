"""JetStream: message in, one service call, acknowledgement."""
