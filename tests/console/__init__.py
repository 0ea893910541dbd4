"""The console, over a core that is played."""
