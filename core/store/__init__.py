"""What is remembered: pins, costs, histories, configuration, runs, audit; one file per concern."""
