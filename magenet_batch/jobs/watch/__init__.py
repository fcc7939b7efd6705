"""A service that enhances images as they arrive."""
