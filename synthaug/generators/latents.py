"""Codes of a VAE: drawn from the codes of a class, and the class read from them."""

import warnings

import numpy as np

from synthaug.core import Draws

MOST_COMPONENTS = 10
EACH = 10  # codes that a component is fitted to, at least
PROBED = 50  # images of a class that the probe reads, at most
PROBED_CLASSES = 50  # at most, since its time grows as the cube of their number


def draw_from_mixtures(
    codes: np.ndarray, code_labels: np.ndarray, labels: np.ndarray, draws: Draws
) -> np.ndarray:
    """Draw codes from Gaussian mixtures with diagonal covariance, one mixture for each class.

    Args:
        codes: Codes of the real images that the mixtures are fitted to, (N, Z).
        code_labels: Class of each of them, int64 (N,).
        labels: Class of each code to draw, int64 (M,).
        draws: Random numbers of the codes to draw.

    Returns:
        Codes, float32 (M, Z).

    References:
        Ghosh et al., "From Variational to Deterministic Autoencoders", ICLR 2020,
        arXiv:1903.12436.
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and seldom needed
    from sklearn.mixture import GaussianMixture

    component, noise = draws.uniform("component"), draws.normal("z", codes.shape[1])
    result = np.empty((len(labels), codes.shape[1]), np.float32)
    for label in np.unique(labels):
        own, rows = codes[code_labels == label], labels == label
        count = int(np.clip(len(own) // EACH, 1, MOST_COMPONENTS))
        mixture = GaussianMixture(count, covariance_type="diag", reg_covar=1e-4, random_state=0)
        with warnings.catch_warnings():
            # Copies of an image are fewer clusters than there should be; a fit not quite done is
            # good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(own.astype(np.float64))
        index = np.searchsorted(mixture.weights_.cumsum()[:-1], component[rows], side="right")
        spread = np.sqrt(mixture.covariances_[index])
        result[rows] = mixture.means_[index] + spread * noise[rows]
    return result


def class_from_codes(codes: np.ndarray, labels: np.ndarray) -> float | None:
    """Measure how often a support vector machine reads the right class from codes.

    Codes that know nothing of the class give the share of the largest class, or less.

    Args:
        codes: Codes of images, (N, Z); of many classes the first fifty are read.
        labels: Class of each, int64 (N,).

    Returns:
        Cross-validated accuracy, 0 to 1; None where a class has too few images to hold some out.
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
    rows = np.sort(np.concatenate(places))
    codes, labels = codes[rows], labels[rows]
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=0)
    probe = make_pipeline(StandardScaler(), SVC(random_state=0))
    return round(float(cross_val_score(probe, codes, labels, cv=folds).mean()), 4)
