"""What tests and scenarios can do to the simulator."""
