"""What an account holds and did, read from IBKR's bodies: amounts, units and currencies. No I/O here."""
