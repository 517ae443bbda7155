"""What every part of ib-mcp knows about Interactive Brokers' Web API: endpoints, states, errors, contracts."""

__version__ = "0.1.0"
