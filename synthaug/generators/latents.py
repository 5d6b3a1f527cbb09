"""What the codes of a class look like, and what they tell of it."""

import warnings

import numpy as np

from synthaug.core import Draws

MOST_COMPONENTS = 10
EACH = 10  # codes that a component is fitted to, at least
PROBED = 50  # images of a class that the probe reads, at most
PROBED_CLASSES = 50  # at most, since its time grows as the cube of their number


def draw_from_mixtures(
    codes: np.ndarray, labels: np.ndarray, wanted: np.ndarray, draws: Draws
) -> np.ndarray:
    """For each of `wanted` (M,) a code of its class, float32 (M, Z), from a Gaussian mixture with
    diagonal covariance that is fitted to the codes (N, Z) of its real images (Ghosh et al., ICLR
    2020).

    labels: int64 (N,), the class of each code.
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and seldom needed
    from sklearn.mixture import GaussianMixture

    component, noise = draws.uniform("component"), draws.normal("z", codes.shape[1])
    drawn = np.empty((len(wanted), codes.shape[1]), np.float32)
    for label in np.unique(wanted):
        own, rows = codes[labels == label], wanted == label
        count = int(np.clip(len(own) // EACH, 1, MOST_COMPONENTS))
        mixture = GaussianMixture(count, covariance_type="diag", reg_covar=1e-4, random_state=0)
        with warnings.catch_warnings():
            # Copies of an image are fewer clusters than asked for; a fit not quite done will do.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(own.astype(np.float64))
        chosen = np.searchsorted(mixture.weights_.cumsum()[:-1], component[rows], side="right")
        spread = np.sqrt(mixture.covariances_[chosen])
        drawn[rows] = mixture.means_[chosen] + spread * noise[rows]
    return drawn


def class_from_codes(codes: np.ndarray, labels: np.ndarray) -> float | None:
    """How often a support vector machine reads the right class (N,) from codes (N, Z) that it did
    not learn from; None where a class has too few images to hold some out.

    Codes that know nothing of the class give the share of the largest class, or less. Of many
    classes the first fifty are asked for.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    places = [
        np.flatnonzero(labels == label)[:PROBED] for label in np.unique(labels)[:PROBED_CLASSES]
    ]
    fewest = min(map(len, places))
    if fewest < 2 or len(places) < 2:
        return None
    read = np.sort(np.concatenate(places))
    codes, labels = codes[read], labels[read]
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=0)
    probe = make_pipeline(StandardScaler(), SVC(random_state=0))
    return round(float(cross_val_score(probe, codes, labels, cv=folds).mean()), 4)
