"""Sockets and HTTP exchanges of the simulator."""
