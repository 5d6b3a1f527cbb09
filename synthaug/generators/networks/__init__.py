"""Networks that generators are built from: coders and decoders, discriminators, and their parts."""
