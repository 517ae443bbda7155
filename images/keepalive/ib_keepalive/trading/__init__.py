"""Orders: what the owner permits, what became of each, and stopping them all."""
