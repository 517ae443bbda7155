"""Orders as agents write them: IBKR's tickets of them, what contracts allow, what they do, and all of it in words."""
