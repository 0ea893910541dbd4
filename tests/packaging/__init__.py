"""The built package, and the commands that set it up."""
