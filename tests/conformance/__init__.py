"""Cases as data, played against each part of the core on every storage."""
