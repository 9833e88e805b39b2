"""Servicers: proto in, one service call, proto out."""
