"""The tests of core.admission."""
