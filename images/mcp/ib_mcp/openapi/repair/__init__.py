"""A document of any OpenAPI 3 as a valid one of 3.1: rebuilt part by part, each change under a named rule."""
