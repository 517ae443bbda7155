"""The client of the guard, and of several."""
