"""What is to be done about a gateway. Pure: no clock, no I/O."""
