"""crops: lots of harvested goods, event-sourced."""
