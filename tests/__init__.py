"""The tests of maitred."""
