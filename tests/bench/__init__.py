"""What it costs. ``python -m tests.bench [NAME…] [--quick]`` measures and prints; nothing here passes or fails.

A bench is a module of this folder with a ``main()``, which may take ``quick: bool`` and prints tables.
"""
