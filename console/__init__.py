"""The console: what a core does, live in a terminal, where an operator acts with one key."""
