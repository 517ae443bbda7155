"""Values as tools answer them."""
