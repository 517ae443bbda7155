"""Reading operations: cached, shared and prepared."""
