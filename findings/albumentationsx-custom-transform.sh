#!/usr/bin/env bash
# AlbumentationsX 2.4.0 and later refuse a custom transform written for albumentations 2.0.8.
#
# Versions: albumentations 2.0.8; albumentationsx 2.3.10, 2.4.0 and 2.5.1; Python 3.11, torch 2.14.1.
#
# Behaviour: a transform that draws its parameters in get_params_dependent_on_data, the hook that
# 2.0.8 has for this, runs without a deprecation warning in 2.0.8 and in AlbumentationsX 2.3.10.
# From 2.4.0 on, a minor release, defining the class raises TypeError, so a module that holds one
# cannot be imported. 2.3.10 never calls the new hook, sample_parameters. So a class for both must
# ask the base class which hook it has. 2.4.0 and 2.5.1 call the new hook with other arguments, and
# 2.5.1 wants SampledParams back where 2.4.0 wants a dict. All have the import name `albumentations`.
#
# Output seen:
#     albumentations 2.0.8: [103]
#     albumentationsx 2.3.10: [103]
#     albumentationsx 2.4.0: TypeError: Add defines removed sampling hook(s):
#         get_params_dependent_on_data. Implement sample_parameters(params, data, sampling) instead.
#     albumentationsx 2.5.1: (the same, with "(params, data, targets, sampling)")
#
# AlbumentationsX asks for PyTorch: the script uses that of $PYTHON (python3), or else installs it.
# It exits with 0 if the behaviour is as described, and otherwise with 1.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
outer=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

cat > "$folder/transform.py" <<'PYTHON'
import warnings

import numpy as np

warnings.simplefilter("error", DeprecationWarning)
warnings.simplefilter("error", FutureWarning)
import albumentations as A


class Add(A.ImageOnlyTransform):
    def get_params_dependent_on_data(self, params, data):
        return {"value": data["offset"]}

    @property
    def targets_as_params(self):
        return ["offset"]

    def apply(self, img, value=0, **params):
        return img + np.uint8(value)


image = np.full((4, 4, 3), 100, np.uint8)
print(np.unique(A.Compose([Add(p=1.0)])(image=image, offset=3)["image"]).tolist())
PYTHON

run() { # package==version: prints the last line of the transform's output
    local venv="$folder/$1"
    "$python" -m venv "$venv"
    "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$folder/inner"
    echo "$outer" > "$(cat "$folder/inner")/outer.pth"
    "$venv/bin/python" -c 'import torch' 2> "$folder/log" ||
        "$venv/bin/python" -m pip install --quiet torch==2.14.1 > "$folder/log" 2>&1
    "$venv/bin/python" -m pip install --quiet "$1" opencv-python-headless==5.0.0.93 \
        > "$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 2; }
    "$venv/bin/python" "$folder/transform.py" 2>&1 | tail -1 || true
}

changed=0
expect() { # package==version, and what the last line begins with
    local line
    line=$(run "$1")
    echo "${1/==/ }: $line"
    [[ $line == "$2"* ]] || changed=1
}

expect albumentations==2.0.8 "[103]"
expect albumentationsx==2.3.10 "[103]"
expect albumentationsx==2.4.0 "TypeError: Add defines removed sampling hook(s)"
expect albumentationsx==2.5.1 "TypeError: Add defines removed sampling hook(s)"
exit "$changed"
