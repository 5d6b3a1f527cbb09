"""`python -m synthaug`: the command line, as `accelerate launch -m` and `torchrun -m` start it."""

from synthaug.cli.main import run

if __name__ == "__main__":
    run()
