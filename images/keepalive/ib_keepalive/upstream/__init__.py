"""The way to the gateway: connections, requests and what their responses mean."""
