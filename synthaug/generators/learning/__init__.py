"""How families learn: their base, networks stacked by class, losses, the adversary, watching."""
