"""HTTP as every part serves and asks it: bounded in bytes, time and connections."""
