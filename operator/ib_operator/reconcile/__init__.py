"""One loop for each gateway, and all of them."""
