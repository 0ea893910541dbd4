"""What the panes show: columns, orders and targets, as data."""
