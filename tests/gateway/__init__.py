"""Everything around IBKR's real gateway program, on one set of processes that all tests here share, in turn."""
