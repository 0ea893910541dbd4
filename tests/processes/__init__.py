"""Tests that start real processes: the command line, signals, crashes, and a terminal to draw on."""
