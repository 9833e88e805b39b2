"""gRPC servicers: a message in, one service call, a message out."""
