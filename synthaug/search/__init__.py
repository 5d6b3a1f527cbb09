"""Search for a way of mixing on validation images.

May import the rooms from `core` to `gain`.
"""

from synthaug.search.rounds import Budget
from synthaug.search.search import load_optuna, search_mix

__all__ = ["Budget", "load_optuna", "search_mix"]
