"""HTTP as all ports of the keepalive speak it."""
