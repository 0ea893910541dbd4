"""The HTTP face of a core."""
