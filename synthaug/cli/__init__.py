"""The commands. They read arguments, call the package, and show what came of it."""
