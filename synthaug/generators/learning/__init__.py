"""What the families learn with: the base of all trained ones, networks stacked by class, losses,
the adversary, and what watches a run."""
