"""Long randomised runs, as commands with a seed; the test suite runs short ones of them."""
