"""The synthetic items that stand after the real ones: how many, and whose transforms they have."""

import numpy as np

from synthaug.seeding import numpy_stream


def rounded(quotas: np.ndarray, seed: int) -> np.ndarray:
    """Whole numbers that add up to the rounded sum: the largest remainders are rounded up."""
    whole: np.ndarray = np.floor(quotas).astype(np.int64)
    missing = round(float(quotas.sum())) - int(whole.sum())
    ties = numpy_stream(seed, "append", "rounding").random(len(quotas))
    order = np.lexsort((ties, -(quotas - whole)))
    whole[order[:missing]] += 1
    return whole


def hosts_of(labels: np.ndarray, added: np.ndarray, seed: int) -> np.ndarray:
    """For each added item a real one whose transforms it goes through, int64 (A,): of its class,
    each in turn; where the class has none, of any."""
    order = numpy_stream(seed, "append").permutation(len(labels))
    hosts: np.ndarray = np.resize(order, len(added))
    for label in np.intersect1d(added, labels):
        of_class = added == label
        hosts[of_class] = np.resize(order[labels[order] == label], of_class.sum())
    return hosts
