"""What is remembered of one session of IBKR: nothing of it outlives the session."""
